"""The scale-equivariant network in three forms: Fourier transforms, real matrices, ONNX Runtime. Ratios in one run.

    python benchmarks/fourier_speed.py models/fourier/1 --bundle runs/fourier/fourier/bundle --out speed.json

One CPU thread, images of 28 pixels. "transforms" computes every resolution that matters by FFTs in PyTorch, "matrices"
is the exported form in PyTorch, "ONNX Runtime" the exported graph. Median and spread over the rounds.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from export.runtime import ort
from harmonic.bundles import Classifier, bundle
from harmonic.layers import ShellActivation, resolutions
from harmonic.zoo.fourier import MNIST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).uniform(0, 255, (asked.batch, 28, 28, 2)).astype(np.float32)
    pixels[..., 1] = 28
    forms = forms_of(asked.bundle, asked.version)
    answers = {name: run(pixels) for name, run in forms.items()}
    for name, answer in answers.items():
        if np.abs(answer - answers["matrices"]).max() > 1e-3:
            raise SystemExit(f"{name} does not give the answers of the matrices")
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(asked.rounds):  # interleaved, so that a busy machine is busy for all of them
        for name, run in forms.items():
            started = time.perf_counter()
            run(pixels)
            times[name].append(time.perf_counter() - started)
    base = median(times["transforms"])
    report = {
        name: {"ratio": base / median(spent), "ms": sorted(round(1000 * t, 2) for t in spent)}
        for name, spent in times.items()
    }
    asked.out.write_text(json.dumps({"batch": asked.batch, **report}, indent=1) + "\n")
    for name, figures in report.items():
        low, high = figures["ms"][0], figures["ms"][-1]
        print(
            f"{name}: {figures['ratio']:.2f} times as fast as transforms; {low} to {high} ms for {asked.batch} images"
        )


def forms_of(folder: Path, version: Path) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    native, fixed = bundle.load(folder).model, bundle.load(folder).model.for_export()
    with_transforms(native)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(version / "model.onnx", options, providers=["CPUExecutionProvider"])
    return {
        "transforms": in_torch(native),
        "matrices": in_torch(fixed),
        "ONNX Runtime": lambda pixels: session.run(None, {"images": pixels})[0],
    }


def in_torch(network: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    classifier = Classifier(network, MNIST).eval()

    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return classifier(torch.from_numpy(pixels)).numpy()

    return run


def with_transforms(network: nn.Module) -> None:
    for name, layer in list(network.named_modules()):
        if isinstance(layer, ShellActivation):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, Transforms(layer))


class Transforms(nn.Module):
    """A `ShellActivation` of single shells by Fourier transforms."""

    def __init__(self, layer: ShellActivation) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        spectrum = torch.fft.rfft2(x, norm="forward")
        assembled = torch.zeros_like(spectrum)
        for r, _ in resolutions(size, self.layer.base, self.layer.shells):
            z = torch.fft.rfft2(self.layer.rectified(cropped(spectrum, size, r), r), norm="forward")
            write(assembled, z, r, whole=r == self.layer.base)
        return torch.fft.irfft2(assembled, s=(size, size), norm="forward")


def cropped(spectrum: Tensor, size: int, target: int) -> Tensor:
    if target == size:
        return torch.fft.irfft2(spectrum, s=(size, size), norm="forward")
    edge, part = target // 2, spectrum.new_zeros(*spectrum.shape[:2], target, target // 2 + 1)
    part[:, :, : edge + target % 2] = spectrum[:, :, : edge + target % 2, : edge + 1]
    part[:, :, -edge:] = spectrum[:, :, -edge:, : edge + 1]
    return torch.fft.irfft2(part, s=(target, target), norm="forward")


def write(assembled: Tensor, z: Tensor, resolution: int, *, whole: bool) -> None:
    h, odd = resolution // 2, resolution % 2
    if whole:
        assembled[:, :, :h, : h + 1] = z[:, :, :h, : h + 1]
        assembled[:, :, -h:, : h + 1] = z[:, :, -h:, : h + 1]
        return
    if odd:
        assembled[:, :, h, : h + 1] = z[:, :, h, : h + 1]
    assembled[:, :, -h, : h + 1] = z[:, :, -h, : h + 1]
    assembled[:, :, : h + odd, h] = z[:, :, : h + odd, h]
    assembled[:, :, -h:, h] = z[:, :, -h:, h]


if __name__ == "__main__":
    main()
