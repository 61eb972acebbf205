"""Every listed architecture as a table: its size, its cost, what was published of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from rich.table import Column, Table
from torch import nn

from harmonic.conversion import harmonic_layers
from harmonic.errors import SpectrumError
from harmonic.graph import macs, parameters
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import create, families, native_pixels


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """What a list says of an architecture.

    macs: of one image; None where most arithmetic is not that of convolutions and linear layers (transforms, say).
    published: test error as the papers print it.
    """

    name: str
    parameters: int
    macs: int | None
    height: int
    width: int
    published: str
    arguments: tuple[str, ...]
    what: str


def architecture_rows() -> Iterator[ArchitectureRow]:
    """Every listed architecture, for 10 classes (1,000 for inputs above 100 pixels)."""
    for family in families():
        for name in family.listed:
            spec = native_pixels(name)
            with torch.device("meta"):
                model = create(name, 10 if spec.height <= 100 else 1000)
            yield ArchitectureRow(
                name,
                parameters(model),
                _macs(model, spec),
                spec.height,
                spec.width,
                family.published.get(name, ""),
                (*family.arguments, *(["bank"] if harmonic_layers(model) else []), "spectrum"),
                family.summary,
            )


def _macs(model: nn.Module, spec: PixelSpec) -> int | None:
    try:
        return macs(model, (spec.channels, spec.height, spec.width))
    except SpectrumError:
        return None


def architecture_tables(rows: Sequence[ArchitectureRow]) -> list[Table]:
    """The rows as a table, then the same for narrower and narrower terminals, always a column less.

    MACs: multiply-accumulates of one image in millions, layers fused.
    """
    columns = ("name", "parameters", "M MAC", "input", "published error, %", "arguments")
    cells = [
        (
            row.name,
            f"{row.parameters:,}",
            "–" if row.macs is None else f"{row.macs / 1e6:,.1f}",
            f"{row.height} x {row.width}",
            row.published,
            ", ".join(row.arguments),
        )
        for row in rows
    ]
    return [_first_columns(columns, cells, count) for count in range(len(columns), 0, -1)]


def _first_columns(columns: Sequence[str], cells: Sequence[Sequence[str]], count: int) -> Table:
    """The names and figures on one line each; what stays outside is told below the table."""
    shown = (Column(name, no_wrap=place < 4) for place, name in enumerate(columns[:count]))
    table = Table(*shown, title="Architectures")
    for row in cells:
        table.add_row(*row[:count])
    if count < len(columns):
        table.caption = f"Too narrow for: {', '.join(columns[count:])}. --json tells all."
    return table
