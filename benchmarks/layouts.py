"""Networks in the layouts that `harmonic export --layout auto` chooses, beside their fused selves, as a Markdown table:
one row for the graph that every device runs, one for the graph for CPUs, where there is one.

    python -m benchmarks.layouts --network harm_wrn28_10 --levels 2 3 none,3,2 none

Weights are random: speed does not depend on them. One thread of ONNX Runtime; fused and chosen are called in turns, and
the ratio is the median of the pairs. What was measured of single layers is kept in the cache, as by an export.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from jaxtyping import Num
from numpy import ndarray
from torch import nn

from export.emit import emit
from export.fold import fold
from export.layout import lay_beside, lay_out
from export.layout.timing import ratios, session
from export.manifest import LayoutPlan
from export.verify import synthetic_images
from harmonic import zoo

_BATCH, _CLASSES = 8, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="harm_wrn28_10", help="its name, as `harmonic models` lists it")
    parser.add_argument(
        "--levels", nargs="+", default=["2", "3", "none,3,2", "none"], help="a level, or one for each group"
    )
    parser.add_argument("--layout", choices=["auto", "factored"], default="auto")
    asked = parser.parse_args()
    print(
        "| network | graph | multiplications | bytes | forms | times as fast, batch 8 | batch 1 |\n" + "|---" * 7 + "|"
    )
    for level in asked.levels:
        _print_rows(asked.network, level, asked.layout)


def _print_rows(network: str, level: str, layout: Any) -> None:
    spec = zoo.native_pixels(network)
    with TemporaryDirectory() as folder:
        fused, chosen, tiled = (Path(folder, f"{name}.onnx") for name in ("fused", "chosen", "tiled"))
        torch.manual_seed(0)
        emit(fold(_created(network, level)), spec, fused)
        chosen.write_bytes(fused.read_bytes())
        images = synthetic_images(_BATCH, spec)
        plans = {"for all": (chosen, lay_out(chosen, layout, images, _unheard))}
        if layout == "auto":
            beside = lay_beside(onnx.load(fused), chosen, tiled, images, _unheard)
            plans["for CPUs"] = (tiled, beside.plan if beside else None)
        for graph, (path, plan) in plans.items():
            figures = _figures(fused, path, plan, images) if plan else "none that is faster | | | |"
            print(f"| `{network}`, level {level} | {graph} | {figures} |", flush=True)


def _figures(fused: Path, chosen: Path, plan: LayoutPlan, images: Num[ndarray, "n h w c"]) -> str:
    many, one = (median(ratios(session(fused), session(chosen), images[:count])) for count in (_BATCH, 1))
    before, after = (path.stat().st_size for path in (fused, chosen))
    return f"{_costs(plan)} | {after / before:.0%} | {_forms(plan)} | {many:.2f} | {one:.2f}"


def _unheard(_: str) -> None:
    """The table says it all."""


def _created(network: str, level: str) -> nn.Module:
    """Without a level where there is none to choose, as in a network of torchvision's."""
    levels = _levels(level)
    return zoo.create(network, _CLASSES, **({} if levels is None else {"level": levels})).eval()


def _levels(text: str) -> Any:
    each = [None if part == "none" else int(part) for part in text.split(",")]
    return each if len(each) > 1 else each[0]


def _costs(plan: LayoutPlan) -> str:
    fused, now = plan.multiplications
    return f"{fused / 1e6:,.0f} -> {now / 1e6:,.0f} million"


def _forms(plan: LayoutPlan) -> str:
    forms = [layer.form for layer in plan.layers]
    return ", ".join(f"{forms.count(form)} {form}" for form in sorted(set(forms)))


if __name__ == "__main__":
    main()
