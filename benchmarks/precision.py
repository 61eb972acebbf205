"""How much faster int8 is than float32, fused and in the layout that pays here: a Markdown table, drawn weights.

    python -m benchmarks.precision torchvision/resnet50 harm_wrn28_10:2 --out runs/precision

A name may end with a level: `harm_wrn28_10:2`. Every figure is the median of pairs of calls in turns, on one thread,
and the drawn network is given the statistics of the images first. Accuracy is the business of `harmonic export`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from jaxtyping import Num
from numpy import ndarray
from torch import nn

from export.emit import emit
from export.fold import fold
from export.layout import lay_out
from export.quantize import Speed, int8_of, opened, speed
from export.verify import synthetic_images
from harmonic import zoo
from harmonic.pixels import PixelSpec

_IMAGES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each comparison")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    measured = {name: compared(name, asked.out, asked.batch, asked.seconds) for name in asked.networks}
    (asked.out / "precision.json").write_text(json.dumps(measured, indent=2) + "\n")
    print(table(measured))


def compared(name: str, out: Path, batch: int, seconds: float) -> dict[str, float]:
    """Each form's speed over the fused float32 graph's, by the form's name."""
    architecture, _, level = name.partition(":")
    spec = zoo.native_pixels(architecture)
    stem = out / name.replace("/", "-").replace(":", "-")
    fused, laid = stem.with_suffix(".onnx"), stem.with_suffix(".laid.onnx")
    emit(fold(_drawn(architecture, level, spec)), spec, fused)
    laid.write_bytes(fused.read_bytes())
    images = synthetic_images(_IMAGES, spec)
    forms = {"int8": _int8(fused, images)}
    if level and lay_out(laid, "auto", images[:8], _tell) is not None:
        forms |= {"fp32, laid out": laid, "int8, laid out": _int8(laid, images)}
    reference = opened(fused, threads=1)
    found: dict[str, float] = {}
    for form, path in forms.items():
        result: Speed = speed(reference, opened(path, threads=1), images[:batch], seconds)
        found[form] = round(result.gain, 2)
        print(f"{name}, {form}: {result.gain:.2f}", flush=True)
    return found


def table(measured: dict[str, dict[str, float]]) -> str:
    """Rows of networks, columns of forms."""
    forms = list(dict.fromkeys(form for found in measured.values() for form in found))
    lines = ["| network | " + " | ".join(forms) + " |", "|" + "---|" * (len(forms) + 1)]
    for name, found in measured.items():
        lines.append(f"| {name} | " + " | ".join(str(found.get(form, "–")) for form in forms) + " |")
    return "\n".join(lines)


def _drawn(architecture: str, level: str, spec: PixelSpec) -> nn.Module:
    torch.manual_seed(0)
    model = zoo.create(architecture, 10, **({"level": int(level)} if level else {}))
    model.train()
    with torch.no_grad():
        model(torch.randn(4, spec.channels, spec.height, spec.width))
    return model.eval()


def _int8(path: Path, images: Num[ndarray, "n h w c"]) -> Path:
    made = path.with_suffix(".int8.onnx")
    onnx.save(int8_of(onnx.load(path), images), made)
    return made


_tell: Callable[[str], None] = print

if __name__ == "__main__":
    main()
