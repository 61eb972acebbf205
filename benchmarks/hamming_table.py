"""Plain 3x3 against plain 7x7 against 7x7 with the window: matched parameters, same initialisation, same seeds.

    python benchmarks/hamming_table.py --data train.zip --test test.zip --out runs/hamming

Every run is resumable; the table is printed, as Markdown, from all of them.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch

from harmonic import bundle, data, recipe, train, zoo

VARIANTS = {
    "7x7 Hamming": {"kernel": 7, "window": True, "width": 0.0625},
    "7x7 plain": {"kernel": 7, "window": False, "width": 0.0625},
    "3x3 plain": {"kernel": 3, "window": False, "width": 0.145},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--test", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[24, 25, 26])
    parser.add_argument("--recipe", default="cifar10-hamming-resnet18-quick")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, test = data.read(asked.data, "train"), data.read(asked.test, "test")
    plan = recipe.read(asked.recipe)
    measured: dict[str, dict[int, float]] = {name: {} for name in VARIANTS}
    for seed in asked.seeds:
        for name, arguments in VARIANTS.items():
            folder = asked.out / f"{name.replace(' ', '-').lower()}-{seed}"
            model = plan.model.model_copy(update={"arguments": arguments})
            schooling = plan.train.model_copy(update={"seed": seed})
            done = train.train(plan.model_copy(update={"model": model, "train": schooling}), images, folder, test=test)
            measured[name][seed] = bundle.read_card(done).metrics["test"]["top1"]
            print(f"{name}, seed {seed}: {measured[name][seed]:.4f}", flush=True)
    (asked.out / "table.json").write_text(json.dumps(measured, indent=2) + "\n")
    print(table(measured))


def table(measured: dict[str, dict[int, float]]) -> str:
    seeds = list(next(iter(measured.values())))
    lines = ["| network | parameters | " + " | ".join(f"seed {s}" for s in seeds) + " | median |"]
    lines += ["|" + "---|" * (len(seeds) + 3)]
    for name, figures in measured.items():
        with torch.device("meta"):
            parameters = sum(p.numel() for p in zoo.create("hamming_resnet18", 10, **VARIANTS[name]).parameters())
        cells = " | ".join(f"{figures[s]:.2%}" for s in seeds)
        lines.append(f"| {name} | {parameters:,} | {cells} | {median(figures.values()):.2%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
