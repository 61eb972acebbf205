"""Harmonic against plain convolutions, with and without hair removal, on HAM10000, split by lesion.

    python benchmarks/lesion_table.py --data HAM10000 --out runs/lesion

Every run is resumable; the tables are printed, as Markdown, from all of them: medians over the seeds, and for the
harmonic network of the median seed the figures by class, the confusion and bootstrap intervals over lesions.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from harmonic import data
from harmonic.bundles import bundle
from harmonic.evaluation import Evaluation, bundle_predictor, evaluate, metrics
from harmonic.pixels import HairRemoval
from harmonic.training import recipe
from harmonic.training.train import train
from harmonic.zoo.lesion import LESION

NETWORKS = {"harmonic": "harm_lesion", "plain": "plain_lesion"}
HAIR = {"as it is": None, "hair removed": HairRemoval()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--recipe", default="ham10000-harm-lesion-quick")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, test = data.read([asked.data], "train"), data.read([asked.data], "test")
    measured: dict[tuple[str, str], dict[int, Evaluation]] = {}
    for seed, network, hair in sorted(product(asked.seeds, NETWORKS, HAIR), key=least_interesting):
        plan = plan_for(recipe.read_recipe(asked.recipe), network, hair, seed, asked.epochs)
        folder = asked.out / f"{network}-{hair.replace(' ', '-')}-{seed}"
        found = answers(train(plan, images, folder, test=None), test)
        measured.setdefault((network, hair), {})[seed] = found
        print(f"{network}, {hair}, seed {seed}: {figures(found)}", flush=True)
    chosen = median_run(measured["harmonic", "as it is"])
    report = {"medians": medians(measured), "chosen": details(chosen)}
    (asked.out / "table.json").write_text(json.dumps(report, indent=2) + "\n")
    print(tables(report, chosen.classes))


def least_interesting(task: tuple[int, str, str]) -> tuple[bool, int]:
    """Plain networks without hair come last: the table is worth reading before they are done."""
    seed, network, hair = task
    return (network, hair) == ("plain", "hair removed"), seed


def plan_for(plan: recipe.Recipe, network: str, hair: str, seed: int, epochs: int | None) -> recipe.Recipe:
    schooling = plan.train.model_copy(update={"seed": seed, "epochs": epochs or plan.train.epochs})
    model = plan.model.model_copy(update={"architecture": NETWORKS[network]})
    pixels = LESION.model_copy(update={"hair": HAIR[hair]})
    return plan.model_copy(update={"model": model, "train": schooling, "pixels": pixels})


def answers(folder: Path, test: data.Images) -> Evaluation:
    """Answers to the test lesions for equally frequent classes: the decisions with the best mean recall."""
    predictor = bundle_predictor(str(folder))
    shares = bundle.read_card(folder).metrics["class_shares"]
    return evaluate(predictor, test).for_even_classes(np.array([shares[name] for name in test.classes]))


def figures(found: Evaluation) -> dict[str, float]:
    sensitivity = found.sensitivity("mel", 0.9)
    return {**found.figures(), "top1": found.top(1), "melanoma_sensitivity_at_90": sensitivity}


def medians(measured: dict[tuple[str, str], dict[int, Evaluation]]) -> list[dict[str, Any]]:
    rows = []
    for (network, hair), runs in measured.items():
        by_seed = [figures(found) for found in runs.values()]
        spread = [round(f["balanced_accuracy"], 4) for f in by_seed]
        middle = {name: median(f[name] for f in by_seed) for name in by_seed[0]}
        rows.append({"network": network, "hair": hair, "seeds": spread, **middle})
    return rows


def median_run(runs: dict[int, Evaluation]) -> Evaluation:
    ordered = sorted(runs.values(), key=lambda found: found.figures()["balanced_accuracy"])
    return ordered[(len(ordered) - 1) // 2]


def details(found: Evaluation) -> dict[str, Any]:
    return {
        "figures": figures(found),
        "intervals": found.intervals(),
        "recall": found.recall().tolist(),
        "precision": metrics.precision(found.confusion()).tolist(),
        "confusion": found.confusion().tolist(),
    }


def tables(report: dict[str, Any], classes: tuple[str, ...]) -> str:
    names = ("balanced_accuracy", "macro_f1", "macro_auc", "top1", "melanoma_sensitivity_at_90")
    lines = ["| network | images | " + " | ".join(n.replace("_", " ") for n in names) + " | balanced, by seed |"]
    lines += ["|" + "---|" * (len(names) + 3)]
    for row in report["medians"]:
        cells = " | ".join(f"{row[name]:.3f}" for name in names)
        lines.append(f"| {row['network']} | {row['hair']} | {cells} | {', '.join(map(str, row['seeds']))} |")
    chosen = report["chosen"]
    lines += ["", "| true \\ answered | " + " | ".join(classes) + " | recall | precision |"]
    lines += ["|" + "---|" * (len(classes) + 3)]
    for name, row, recall, precision in zip(
        classes, chosen["confusion"], chosen["recall"], chosen["precision"], strict=True
    ):
        lines.append(f"| {name} | {' | '.join(map(str, row))} | {recall:.3f} | {precision:.3f} |")
    lines += [""] + [f"* {n.replace('_', ' ')}: {lo:.3f} to {hi:.3f}" for n, (lo, hi) in chosen["intervals"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
