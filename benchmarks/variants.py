"""Networks beside each other: the same recipe, images and seeds, one resumable run for each, as a Markdown table."""

import json
from collections.abc import Mapping
from statistics import mean, median
from typing import Any

import torch
from scipy.stats import ttest_rel

from benchmarks.tables import head, on_one_thread, run_arguments
from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.graph import parameters
from harmonic.training import recipe
from harmonic.training.train import train

Variants = Mapping[str, tuple[str, dict[str, Any]]]  # name in the table -> architecture and its arguments


def main(description: str, variants: Variants, default_recipe: str) -> None:
    parser = run_arguments(description, [24, 25, 26])
    parser.add_argument("--recipe", default=default_recipe)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="as of `harmonic train`")
    parser.add_argument("--only", nargs="+", choices=list(variants), default=list(variants), metavar="NAME")
    asked = parser.parse_args()
    images, test = on_one_thread(asked)
    plan = recipe.read_recipe(asked.recipe, asked.set)
    variants = {name: variants[name] for name in asked.only}
    measured: dict[str, dict[int, float]] = {name: {} for name in variants}
    for seed in asked.seeds:
        for name, (architecture, arguments) in variants.items():
            model = plan.model.model_copy(update={"architecture": architecture, "arguments": arguments})
            schooling = plan.train.model_copy(update={"seed": seed})
            own = plan.model_copy(update={"model": model, "train": schooling})
            done = train(own, images, asked.out / f"{name.replace(' ', '-').lower()}-{seed}", test=test)
            measured[name][seed] = bundle.read_card(done).metrics["test"]["top1"]
            print(f"{name}, seed {seed}: {measured[name][seed]:.4f}", flush=True)
    (asked.out / "table.json").write_text(json.dumps(measured, indent=2) + "\n")
    print(table(variants, measured, len(images.classes)))
    first, *others = measured
    for name in others if len(asked.seeds) > 1 else ():
        print(compared(first, measured[first], name, measured[name]))


def compared(first: str, base: Mapping[int, float], name: str, figures: Mapping[int, float]) -> str:
    """Student's paired test of a network against the first one, seed by seed."""
    test = ttest_rel([figures[seed] for seed in base], list(base.values()))
    low, high = test.confidence_interval(0.95)
    gain = mean(figures[seed] - base[seed] for seed in base)
    interval = f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f}, p = {test.pvalue:.2g})"
    return f"{name} against {first}: {100 * gain:+.2f} points {interval}, {len(base)} pairs"


def table(variants: Variants, measured: Mapping[str, Mapping[int, float]], classes: int) -> str:
    seeds = list(next(iter(measured.values())))
    lines = [head(["network", "parameters"], seeds, "median")]
    for name, figures in measured.items():
        architecture, arguments = variants[name]
        with torch.device("meta"):
            size = parameters(zoo.create(architecture, classes, **arguments))
        cells = " | ".join(f"{figures[s]:.2%}" for s in seeds)
        lines.append(f"| {name} | {size:,} | {cells} | {median(figures.values()):.2%} |")
    return "\n".join(lines)
