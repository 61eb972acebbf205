"""The scale-equivariant network beside plain convolutions on MNIST-scale: accuracy, consistency, equivariance.

    python benchmarks/fourier_table.py --data mnist --out runs/fourier

Every run is resumable; the table is printed as Markdown. Test images have one size each from 8 to 28, in equal groups,
ideally resampled in floating point. Consistency: of the pairs (image, next larger size) that are right at the smaller
size, the share that is right at the larger. Equivariance error: of the features, as the published code measures it
(mean over sizes of |R F(x) - R F(D x)|^2 / |R F(x)|^2, without the outermost frequency), in float64.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harmonic import data
from harmonic.bundles import Classifier, bundle
from harmonic.data import Images, prepare_all
from harmonic.graph import parameters
from harmonic.layers import Matrices
from harmonic.pixels import Resampler, low_pass, with_own_size
from harmonic.training import recipe
from harmonic.training.size_batches import assigned_sizes, at_size
from harmonic.training.train import train
from harmonic.zoo.fourier import MNIST
from harmonic.zoo.scale_net import FourierNet

SIZES = range(8, 29)
NETWORKS = {"Fourier": None, "plain CNN": "scale_cnn"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="mnist-fourier-quick")
    parser.add_argument("--consistency-images", type=int, default=1000)
    parser.add_argument("--equivariance-images", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, test = data.read([asked.data], "train"), data.read([asked.data], "test")
    pixels = prepare_all(test, MNIST.model_copy(update={"fit": "squash"}), title="Reading test images")
    measured = {}
    for name, architecture in NETWORKS.items():
        plan = planned(recipe.read_recipe(asked.recipe), architecture)
        folder = train(plan, images, asked.out / name.replace(" ", "-").lower(), test=test)
        loaded = bundle.load(folder)
        classifier = Classifier(loaded.model, MNIST).eval()
        figures = {
            "parameters": parameters(loaded.model),
            "accuracy": accuracy(classifier, pixels, test),
            "consistency": consistency(classifier, pixels[: asked.consistency_images], test),
        }
        if isinstance(loaded.model, FourierNet):
            figures |= served(classifier, pixels, test)
            few = pixels[: asked.equivariance_images]
            figures["equivariance error, odd sizes"] = equivariance(loaded.model, few, list(range(9, 28, 2)), 27)
            figures["equivariance error, all sizes"] = equivariance(loaded.model, few, list(SIZES)[:-1], 28)
        measured[name] = figures
        print(name, figures, flush=True)
    (asked.out / "table.json").write_text(json.dumps(measured, indent=2) + "\n")
    print(table(measured))


def planned(plan: recipe.Recipe, architecture: str | None) -> recipe.Recipe:
    if architecture is None:
        return plan
    arguments = {"widths": plan.model.arguments.get("widths", [32, 64, 100, 100])}
    return plan.model_copy(update={"model": recipe.ModelSection(architecture=architecture, arguments=arguments)})


def answers(classifier: Classifier, planes: list[np.ndarray]) -> np.ndarray:
    batches = [torch.from_numpy(np.stack(planes[start : start + 250])) for start in range(0, len(planes), 250)]
    with torch.inference_mode():
        return np.concatenate([classifier(batch).argmax(1).numpy() for batch in batches])


def accuracy(classifier: Classifier, pixels: np.ndarray, test: Images) -> float:
    """Every image once, at its own size."""
    sizes = assigned_sizes(len(pixels), (8, 28), 0)
    right = 0
    for size in SIZES:
        members = np.flatnonzero(sizes == size)
        found = answers(classifier, [at_size(pixels[i], size) for i in members])
        right += int((found == test.labels[members]).sum())
    return right / len(pixels)


def served(classifier: Classifier, pixels: np.ndarray, test: Images) -> dict[str, float]:
    """As the service sees them: 8-bit images of their own size, brought to 28 pixels, read at their own scale."""
    sizes = assigned_sizes(len(pixels), (8, 28), 0)
    rounded = [
        np.clip(at_size(p, int(s))[..., :1].round(), 0, 255).astype(float) for p, s in zip(pixels, sizes, strict=True)
    ]
    right = answers(classifier, [with_own_size(image, 28) for image in rounded]) == test.labels
    odd = sizes % 2 == 1
    return {"accuracy as served, odd sizes": float(right[odd].mean()), "even sizes": float(right[~odd].mean())}


def consistency(classifier: Classifier, pixels: np.ndarray, test: Images) -> float:
    right = [answers(classifier, [at_size(p, size) for p in pixels]) == test.labels[: len(pixels)] for size in SIZES]
    kept = [(small & large).sum() for small, large in pairwise(right)]
    return float(sum(kept) / sum(small.sum() for small in right[:-1]))


def equivariance(network: nn.Module, pixels: np.ndarray, sizes: list[int], largest: int) -> float:
    network = network.double()
    errors = []
    with torch.inference_mode():
        whole = network.stages(planes(pixels, largest))
        for size in sizes:
            found = network.stages(planes(pixels, size))
            expected, found = inner(whole, size), inner(found, size)
            lost = (expected - found).square().sum(dim=(2, 3)) / (expected.square().sum(dim=(2, 3)) + 1e-6)
            errors.append(float(lost.mean()))
    network.float()
    return sum(errors) / (len(sizes) + 1)


def planes(pixels: np.ndarray, size: int) -> Tensor:
    stacked = np.stack([at_size(p, size)[..., :1] for p in pixels]).astype(np.float64)
    return (torch.from_numpy(stacked).permute(0, 3, 1, 2) / 255 - MNIST.mean[0]) / MNIST.std[0]


def inner(features: Tensor, size: int) -> Tensor:
    """Resampled to a size, without its outermost frequency."""
    matrix = low_pass(features.shape[-1], size, size // 2 - 1)
    return Matrices(Resampler(matrix, matrix.T))(features)


def table(measured: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(measured.values())))
    lines = ["| | " + " | ".join(measured) + " |", "|" + "---|" * (len(measured) + 1)]
    for name in names:
        cells = [
            f"{f[name]:,}" if name == "parameters" else f"{f[name]:.4g}" if name in f else "" for f in measured.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
