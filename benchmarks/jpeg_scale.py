"""What `jpeg_scale = "reduced"` gains in time and changes in answers, on photographs.

    python benchmarks/jpeg_scale.py --photographs photographs.zip --weights squeezenet1_0.pth --out runs/jpeg-scale

Time: of the processor, for one photograph of 12 megapixels, turned by its EXIF data, with more and less noise, decoded
as the service decodes; full and reduced take turns. Answers: SqueezeNet on every photograph, decoded whole and at a
scale: as they are, and enlarged with noise so that a quarter of their sides is 1 to 3 times what they are scaled to.
The margin in harmonic/pixels/reduction.py is chosen by this table.
"""

import argparse
import io
import json
import platform
import statistics
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harmonic.bundles import Bundle, adopt, probabilities
from harmonic.pixels import PixelSpec, Reduction, Upright, decoded, prepare
from service.config import Limits
from service.decoding.decode import read

MARGINS = (1.0, 1.5, 2.0, 3.0)
STEP = 4
GRAIN = 6.0  # standard deviation of the noise, in levels, before JPEG: 3 MB at 12 megapixels, as a phone makes
ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="A zip with JPEGs.")
    parser.add_argument("--weights", type=Path, required=True, help="torchvision's squeezenet1_0.")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    files = photographs(asked.photographs)[: asked.limit]
    given = adopt.open_network("torchvision/squeezenet1_0", asked.weights, None, {})
    found = {
        "machine": platform.processor() or platform.machine(),
        "photographs": len(files),
        "milliseconds": [times(files[0], given.card.pixels, grain) for grain in (0.0, 2.0, GRAIN)],
        "answers": [as_they_are(files, given), *(enlarged(files, given, margin) for margin in MARGINS)],
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "jpeg-scale.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def photographs(archive: Path) -> list[bytes]:
    with zipfile.ZipFile(archive) as packed:
        names = sorted(name for name in packed.namelist() if name.lower().endswith((".jpeg", ".jpg")))
        return [packed.read(name) for name in names]


def times(file: bytes, spec: PixelSpec, grain: float) -> dict[str, float]:
    """Medians of decoding and preparing one large photograph, in milliseconds, and their ratio."""
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph = grown(file, (4032, 3024), grain, exif=turned)
    specs = {scale: spec.decoding(scale) for scale in ("full", "reduced")}
    taken: dict[str, list[float]] = {scale: [] for scale in specs}
    for _ in range(ROUNDS):
        for scale, one in specs.items():
            start = time.thread_time()
            read(photograph, Limits(), lambda image, one=one: prepare(image, one), 2**40, one)
            taken[scale].append(1000 * (time.thread_time() - start))
    medians = {scale: statistics.median(values) for scale, values in taken.items()}
    return {"bytes": len(photograph), **medians, "ratio": medians["full"] / medians["reduced"]}


def as_they_are(files: list[bytes], given: Bundle) -> dict:
    """The rule itself, on photographs of any size."""
    spec = given.card.pixels
    whole = [prepare(file, spec) for file in files]
    reduced = [prepare(file, spec.decoding("reduced")) for file in files]
    smaller = sum(decoded(file, spec.decoding("reduced")).whole().size != decoded(file).size for file in files)
    return {"photographs": "as they are", "reduced": smaller, **compared(given, whole, reduced)}


def enlarged(files: list[bytes], given: Bundle, margin: float) -> dict:
    """Photographs whose short side is `STEP * margin` times what it is scaled to, at a scale of 1 / STEP."""
    spec = given.card.pixels
    whole, reduced = [], []
    for file in files:
        with Image.open(io.BytesIO(file)) as image:
            size = spec.scaled(image.size)
        stored = grown(file, tuple(round(side * STEP * margin) for side in size))
        whole.append(prepare(stored, spec))
        with Image.open(io.BytesIO(stored)) as image:
            reduction = Reduction(image.size, STEP)
            image.draft(None, (image.width // STEP, image.height // STEP))
            image.load()
            reduced.append(prepare(Upright(image, reduction), spec))
    return {"photographs": "enlarged", "margin": margin, "reduced": len(files), **compared(given, whole, reduced)}


def grown(file: bytes, size: tuple[int, int], grain: float = GRAIN, **options: object) -> bytes:
    """A photograph at another size, with the noise of a sensor, as a JPEG."""
    with Image.open(io.BytesIO(file)) as image:
        large = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(large.shape, dtype=np.float32) * grain
    kept = io.BytesIO()
    Image.fromarray((large + noise).clip(0, 255).astype(np.uint8)).save(kept, "JPEG", quality=90, **options)
    return kept.getvalue()


def compared(given: Bundle, whole: list[np.ndarray], reduced: list[np.ndarray]) -> dict[str, float]:
    """What the pixels and the answers differ by."""
    pixels = np.abs(np.stack(whole).astype(int) - np.stack(reduced).astype(int))
    one, other = (probabilities(given.model, given.card.pixels, np.stack(part)) for part in (whole, reduced))
    return {
        "mean levels": float(pixels.mean()),
        "levels, 99 of 100 within": float(np.percentile(pixels, 99)),
        "top-1 agreement": float((one.argmax(1) == other.argmax(1)).mean()),
        "mean change of the likeliest class's probability": float(
            np.abs(one.max(1) - other[np.arange(len(one)), one.argmax(1)]).mean()
        ),
        "mean change of a probability": float(np.abs(one - other).mean()),
    }


if __name__ == "__main__":
    main()
