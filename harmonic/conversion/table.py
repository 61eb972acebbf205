"""What conversion made of each layer, as a table and as figures."""

from typing import Any

from rich.table import Column, Table

from harmonic.conversion.convert import Conversion
from harmonic.shown import plain


def layer_column() -> Column:
    """Layers' names are long, and cut ones are of no use."""
    return Column("layer", overflow="fold")


def conversion_table(report: Conversion) -> Table:
    """Filters, energy and parameters of every converted layer, and their sums."""
    table = Table(layer_column(), "kernel", "level", "filters", "energy kept", "parameters", title="Conversion")
    for layer in report.layers:
        rows, columns = layer.kernel_size
        table.add_row(
            plain(layer.name),
            f"{rows} x {columns}",
            "full" if layer.plan.level is None else str(layer.plan.level),
            f"{layer.filters}/{layer.of}",
            f"{layer.energy:.1%}",
            f"{layer.parameters_before:,} -> {layer.parameters_after:,}",
        )
    before, after = (
        sum(getattr(layer, f"parameters_{when}") for layer in report.layers) for when in ("before", "after")
    )
    table.add_section()
    table.add_row("all", "", "", "", "", f"{before:,} -> {after:,}")
    return table


def conversion_figures(report: Conversion) -> dict[str, Any]:
    """The same as JSON, with the layers that stay as they are and why."""
    layers = [
        {
            "layer": layer.name,
            "kernel_size": list(layer.kernel_size),
            "level": layer.plan.level,
            "filters": [layer.filters, layer.of],
            "energy": layer.energy,
            "parameters": [layer.parameters_before, layer.parameters_after],
        }
        for layer in report.layers
    ]
    return {"layers": layers, "skipped": dict(report.skipped)}
