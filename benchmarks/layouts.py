"""Truncated networks in the layout that `harmonic export --layout auto` chooses, beside their fused selves, as a
Markdown table.

    python -m benchmarks.layouts --network harm_wrn28_10 --levels 2 3 none,3,2

Weights are random: speed does not depend on them. One thread of ONNX Runtime; fused and chosen are called in turns, and
the ratio is the median of the pairs. What was measured of single layers is kept in the cache, as by an export.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from export.emit import emit
from export.fold import fold
from export.layout import lay_out
from export.layout.timing import ratios, session
from export.manifest import LayoutPlan
from export.verify import synthetic_images
from harmonic import zoo

_BATCH, _CLASSES = 8, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="harm_wrn28_10", help="its name, as `harmonic models` lists it")
    parser.add_argument("--levels", nargs="+", default=["2", "3", "none,3,2"], help="a level, or one for each group")
    parser.add_argument("--layout", choices=["auto", "factored"], default="auto")
    asked = parser.parse_args()
    print("| network | multiplications | bytes | forms | times as fast, batch 8 | batch 1 |\n|---|---|---|---|---|---|")
    for level in asked.levels:
        print(_row(asked.network, level, asked.layout), flush=True)


def _row(network: str, level: str, layout: Any) -> str:
    spec = zoo.find(network).pixels
    with TemporaryDirectory() as folder:
        fused, chosen = Path(folder, "fused.onnx"), Path(folder, "chosen.onnx")
        torch.manual_seed(0)
        emit(fold(zoo.create(network, _CLASSES, level=_levels(level))), spec, fused)
        chosen.write_bytes(fused.read_bytes())
        images = synthetic_images(_BATCH, spec)
        plan = lay_out(chosen, layout, images, _unheard)
        if plan is None:
            return f"| `{network}`, level {level} | as fused | as fused | fused | 1 | 1 |"
        many, one = (median(ratios(session(fused), session(chosen), images[:count])) for count in (_BATCH, 1))
        before, after = (path.stat().st_size for path in (fused, chosen))
        figures = f"{_costs(plan)} | {after / before:.0%} | {_forms(plan)} | {many:.2f} | {one:.2f}"
        return f"| `{network}`, level {level} | {figures} |"


def _unheard(_: str) -> None:
    """The table says it all."""


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
