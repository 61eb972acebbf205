"""Chosen frequencies against uniform and progressive levels at equal parameters, refitted and not, on real images.

    python benchmarks/compression_table.py resnet20 --weights cifar10-resnet20.th --data train.zip --test test.zip \\
        --out runs/resnet20
    python benchmarks/compression_table.py squeezenet --weights squeezenet1_0.pth --photographs photographs.zip \\
        --out runs/squeezenet

ResNet-20: accuracy on the test images; with --finetune also after one epoch on the training images.
SqueezeNet: agreement and divergence on the photographs, each half with levels chosen on the other; with --draws for
several ways to halve them. No labels are used.
"""

import argparse
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from harmonic import data, zoo
from harmonic.bundles import Bundle, Card, bundle, import_reference, read_state
from harmonic.compression import Bench, Sets, calibration, compressed, cuts_for, fully_harmonic, losses, with_cuts
from harmonic.compression.cuts import own_cuts
from harmonic.data import prepare_all
from harmonic.graph import parameters, stages, trace
from harmonic.layers import BandSet
from harmonic.pixels import prepare
from harmonic.training import recipe
from harmonic.training.train import Where, train

STAGED = {"uniform 3": (3, 3, 3), "progressive": (None, 3, 2), "uniform 2": (2, 2, 2)}
WAYS: dict[str, tuple[bool, Sets]] = {  # refitted, and what may be kept of a layer
    "chosen": (False, "levels"),
    "chosen and refitted": (True, "levels"),
    "sets": (True, "channel"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["resnet20", "squeezenet"])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append")
    parser.add_argument("--test", type=Path, action="append")
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--finetune", action="store_true")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = resnet20(asked) if asked.network == "resnet20" else squeezenet(asked)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "table.json").write_text(json.dumps(rows, indent=2, default=BandSet.as_json) + "\n")
    draw(rows, asked.out / "table.png", f"{asked.network} at equal parameters")
    print(table(rows))


def resnet20(asked: argparse.Namespace) -> list[dict]:
    images, test = data.read(asked.data, "train"), data.read(asked.test, "test")
    given = opened("cifar_resnet20", asked.weights, images.classes)
    bench = calibration(asked.data, given.card, 1000, seed=1)
    held_out = Bench(prepare_all(test, given.card.pixels, title="Reading test images"), given.card.pixels, test.labels)
    plan = recipe.read_recipe("cifar10-finetune")
    rows = compared(given, bench, held_out, asked.ways)
    for row in rows[1:] if asked.finetune else []:
        refitted, _ = WAYS.get(kind(row["name"]), (False, None))
        start = compressed(given, row["cuts"], record={}, images=bench if refitted else None)
        folder = asked.out / row["name"].replace(" ", "-")
        done = train(plan, images, folder, test=test, where=Where("cpu", 1), start=start)
        row["top-1 fine-tuned"] = bundle.read_card(done).metrics["test"]["top1"]
        print(row["name"], row["top-1 fine-tuned"], flush=True)
    return rows


def squeezenet(asked: argparse.Namespace) -> list[dict]:
    given = opened("torchvision/squeezenet1_0", asked.weights, tuple(map(str, range(1000))))
    pixels = photographs(asked.photographs, given)
    folds = []
    for halves in halved(len(pixels), asked.draws):
        parts = [Bench(pixels[half], given.card.pixels) for half in halves]
        folds += [compared(given, *parts, asked.ways), compared(given, *parts[::-1], asked.ways)]
    return [over_folds(same) for same in zip(*folds, strict=True)]


def halved(images: int, draws: int) -> list[list[np.ndarray]]:
    """Two halves of so many images, for each draw: every second one, then by chance."""
    orders = [np.arange(images), *(np.random.default_rng(seed).permutation(images) for seed in range(1, draws))]
    return [[np.sort(order[start::2]) for start in (0, 1)] for order in orders]


def over_folds(rows: tuple[dict, ...]) -> dict:
    """One row for the same choice on several parts of the images: means, and the larger network's parameters."""
    means = {key: float(np.mean([row[key] for row in rows])) for key in ("agreement", "divergence")}
    by_fold = {"cuts": [row["cuts"] for row in rows], "by fold": [row["divergence"] for row in rows]}
    return {**rows[0], **means, **by_fold, "parameters": max(row["parameters"] for row in rows)}


def opened(architecture: str, weights: Path, classes: tuple[str, ...]) -> Bundle:
    model = import_reference(read_state(weights), architecture)
    return Bundle(Card(architecture=architecture, classes=classes, pixels=zoo.native_pixels(architecture)), model)


def photographs(archive: Path, given: Bundle) -> np.ndarray:
    with zipfile.ZipFile(archive) as packed:
        files = [packed.read(name) for name in sorted(packed.namelist()) if name.lower().endswith((".jpeg", ".jpg"))]
    return np.stack([prepare(file, given.card.pixels) for file in files])


def compared(given: Bundle, bench: Bench, held_out: Bench, ways: Sequence[str]) -> list[dict]:
    """Uniform and progressive levels, each with what is chosen for its number of parameters in each of the ways."""
    network, spec = fully_harmonic(given.model), given.card.pixels
    reference = held_out.answers(given.model)
    measured = {way: losses(network, bench, refitted=WAYS[way][0], sets=WAYS[way][1]) for way in ways}
    groups = stages(trace(network, (spec.channels, spec.height, spec.width)))
    rows = [row("whole", network, reference, held_out)]
    for name, staged in STAGED.items():
        levels = {layer: level for level, stage in zip(staged, groups, strict=True) for layer in stage}
        rows.append(row(name, with_cuts(network, levels), reference, held_out))
        size = rows[-1]["parameters"]
        for way, found in measured.items():
            chosen = cuts_for(network, found, size)
            made = compressed(given, chosen, record={}, images=bench if WAYS[way][0] else None)
            rows.append(row(f"{way} like {name}", made.model, reference, held_out))
    return rows


def row(name: str, small: torch.nn.Module, reference: object, held_out: Bench) -> dict:
    answers = held_out.answers(small)
    figures = {"name": name, "cuts": own_cuts(small), "parameters": parameters(small), "top-1": answers.accuracy()}
    print(name, figures["parameters"], figures["top-1"], answers.divergence(reference), flush=True)
    return {**figures, "agreement": answers.agreement(reference), "divergence": answers.divergence(reference)}


def table(rows: list[dict]) -> str:
    shown = [key for key in ("top-1", "top-1 fine-tuned", "agreement", "divergence") if rows[-1].get(key) is not None]
    lines = ["| levels | parameters | " + " | ".join(shown) + " |", "|" + "---|" * (len(shown) + 2)]
    for each in rows:
        forms = {key: f"{each[key]:.4f}" if key == "divergence" else f"{each[key]:.2%}" for key in shown if key in each}
        cells = [forms.get(key, "") for key in shown]
        lines.append(f"| {each['name']} | {each['parameters']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kind(name: str) -> str:
    """The word in front of a size: "chosen and refitted like uniform 3" is "chosen and refitted"."""
    before, like, _ = name.partition(" like ")
    return before if like else name.split(maxsplit=1)[0]


def draw(rows: list[dict], picture: Path, title: str) -> None:
    """Divergence against parameters, and accuracy where there is one; 300 KB at most, so small and plain."""
    measures = [key for key in ("top-1", "top-1 fine-tuned", "agreement") if rows[-1].get(key) is not None]
    figure = Figure(figsize=(4.5 * len(measures), 3.6), layout="constrained")
    for axis, measure in zip(np.atleast_1d(figure.subplots(1, len(measures))), measures, strict=True):
        for marker, word in (
            ("o", "uniform"),
            ("s", "progressive"),
            ("^", "chosen"),
            ("D", "chosen and refitted"),
            ("*", "sets"),
        ):
            points = sorted((r["parameters"], 100 * r[measure]) for r in rows if kind(r["name"]) == word)
            if not points:
                continue
            axis.plot(
                [n for n, _ in points],
                [share for _, share in points],
                marker,
                linestyle="-" if word in WAYS else "",
                label=word,
            )
        axis.set(xlabel="parameters", ylabel=f"{measure}, %")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
