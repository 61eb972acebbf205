"""How long a network takes on this machine as it would be served: exported, its truncated layers laid out, one thread.

The clock of `harmonic compress`: an entry point of `harmonic.clocks`.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from torch import nn

from export.emit import emit
from export.errors import ExportError
from export.fold import fold
from export.layout import (
    BATCHES,
    FILE,
    Memory,
    Place,
    device,
    drawn,
    fastest,
    fastest_calls,
    lay_out,
    places,
    ratios,
    session,
)
from export.verify import synthetic_images
from harmonic.bundles import cache_folder
from harmonic.conversion import harmonic_layers
from harmonic.disk import must_be_writable
from harmonic.layers import BandSet
from harmonic.pixels import PixelSpec

Frequencies = tuple[tuple[int, int], ...]
Kept = tuple[str, Frequencies | BandSet]  # a layer, and the frequencies that it has left, or its bands
Tell = Callable[[str], None]


class LayoutTimes:
    """Times of one network and of what it becomes, in nanoseconds of a call for one image."""

    def __init__(self, network: nn.Module, spec: PixelSpec, memory: Memory, tell: Tell) -> None:
        self._spec, self._memory, self._tell = spec, memory, tell
        self._layers = harmonic_layers(network)
        tell("writing the whole network as a graph, to time it")
        self._session, graph = self._opened(network)
        self._places: dict[str, list[Place]] = defaultdict(list)
        for place in places(graph):
            self._places[place.name].append(place)
        self._image = synthetic_images(1, spec)
        self._known: dict[Kept, int] = {}
        self.whole = round(1e9 * fastest_calls({"": self._session}, self._image)[""])

    def of_layers(self, wanted: Collection[Kept]) -> Mapping[Kept, int]:
        """Of each layer with these frequencies or bands, in the form that is fastest here; 0 for a layer that the graph
        has not as a convolution of its own, whose time is in the rest."""
        for name, kept in wanted:
            if (name, kept) not in self._known:
                self._known[name, kept] = sum(self._of_place(place, kept) for place in self._places[name])
        return {each: self._known[each] for each in wanted}

    def beside(self, other: nn.Module) -> int:
        """Of another network, from pairs of calls: what disturbs one disturbs both."""
        self._tell("timing the whole network beside it")
        timed, _ = self._opened(other)
        return round(self.whole * median(ratios(timed, self._session, self._image)))

    def _opened(self, network: nn.Module) -> tuple[Any, onnx.ModelProto]:
        """A network's graph, open and laid out as an export would lay it, and as it was before that."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            with _room_wanted(folder):
                emit(fold(copy.deepcopy(network).cpu()), self._spec, path)
            graph = onnx.load(path)
            with _room_wanted(folder):
                lay_out(path, "auto", synthetic_images(max(BATCHES), self._spec), self._tell, self._memory)
            return session(path), graph

    def _of_place(self, place: Place, kept: Frequencies | BandSet) -> int:
        """Of the fastest form; one convolution takes as long with all frequencies as with some."""
        every = place.convolution.span
        full = tuple((u, v) for u in range(every.filters.shape[1]) for v in range(every.filters.shape[2]))
        whole, some = fastest([self._with(place, full), self._with(place, kept)], self._memory, self._tell)
        fused = some.form == whole.form
        return round(1e9 * (whole.seconds[0] if fused else min(some.seconds[0], whole.seconds[0])))

    def _with(self, place: Place, kept: Frequencies | BandSet) -> Place:
        """The place with other frequencies, or with some of its layer's bands."""
        convolution, layer = place.convolution, self._layers[place.name]
        coefficients, (down, across) = convolution.span.coefficients, convolution.span.filters.shape[1:]
        frequencies = layer.frequencies if isinstance(kept, BandSet) else kept
        span = drawn(layer.bank_kind, (down, across), frequencies, *coefficients.shape[:2])
        if isinstance(kept, BandSet):
            span = span.holding(kept.mask().numpy().reshape(-1, len(frequencies)))
        return replace(place, convolution=replace(convolution, span=span))


@contextmanager
def _room_wanted(folder: str) -> Iterator[None]:
    """ExportError where a graph finds no room in the temporary folder."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{folder}: cannot be written: {error.strerror or error}. The network is timed there: make room, or name "
            "another folder in TMPDIR."
        ) from error


def layout_clock(tell: Tell) -> Callable[[nn.Module, PixelSpec], LayoutTimes]:
    """The clock of this machine's processor. tell: hears of every step. BundleError where the cache that keeps what
    was measured cannot be written."""
    must_be_writable(cache_folder() / FILE)
    memory = Memory(cache_folder() / FILE, device())
    return lambda network, spec: LayoutTimes(network, spec, memory, tell)
