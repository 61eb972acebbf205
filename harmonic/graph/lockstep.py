"""Forward passes in step: each pauses at chosen layers, until all have come there and are told to go on.

What a layer is given lies in the paused passes, so however many layers are looked at, or changed on the way, one pass
over each batch is enough. Knows no spectrum.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Stop:
    """Where all passes have come to. layer: its name. values: of each batch, the layer's input, or its output."""

    layer: str
    values: tuple[Tensor, ...]


class Lockstep:
    """One forward pass a batch, all of them at the same layer.

    before, after: names of layers to stop at, before they run and after. The network must take the same way for every
    batch. Between two stops its layers may be changed in place; what is changed in `values` is changed in the passes.
    Use: `with Lockstep(...) as passes: while stop := passes.advance(): ...`. Passes that did not end are given up.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Tensor], before: Sequence[str] = (), after: Sequence[str] = ()
    ) -> None:
        self._running: _Pass | None = None
        self._passes = [_Pass(model, batch) for batch in batches]
        layers = dict(model.named_modules())
        self._handles = [layers[name].register_forward_pre_hook(partial(self._enter, name)) for name in before]
        self._handles += [layers[name].register_forward_hook(partial(self._leave, name)) for name in after]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._passes:
            self._running = each
            each.give_up()
        for handle in self._handles:
            handle.remove()

    def advance(self) -> Stop | None:
        """Bring every pass to its next stop; None once all have ended. Raises what the network raises, and RuntimeError
        where the passes part."""
        came = []
        for each in self._passes:
            self._running = each
            came.append(each.resume())
        if len({layer for layer, _ in came}) > 1:
            raise RuntimeError(f"the network takes several ways: {', '.join(str(layer) for layer, _ in came)}")
        layer = came[0][0]
        return None if layer is None else Stop(layer, tuple(values for _, values in came if values is not None))

    def _enter(self, name: str, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._pause(name, inputs[0])

    def _leave(self, name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        self._pause(name, output)

    def _pause(self, name: str, values: Tensor) -> None:
        # Whoever looks at a stop may ask the layer himself; that is no pass.
        if self._running is not None and self._running.is_this_thread():
            self._running.pause(name, values)


class _Pass:
    """One pass, in a thread that runs only while `resume` waits for it."""

    def __init__(self, model: nn.Module, batch: Tensor) -> None:
        self._model, self._batch = model, batch
        self._go, self._came = threading.Semaphore(0), threading.Semaphore(0)
        self._at: tuple[str | None, Tensor | None] = (None, None)
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="lockstep", daemon=True)
        self._thread.start()

    def resume(self) -> tuple[str | None, Tensor | None]:
        if not self._thread.is_alive():
            return None, None
        self._at = (None, None)
        self._go.release()
        self._came.acquire()
        if self._error:
            raise self._error
        return self._at

    def pause(self, layer: str, values: Tensor) -> None:
        self._at = (layer, values)
        self._came.release()
        self._go.acquire()
        if self._given_up:
            raise _GivenUp

    def is_this_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def give_up(self) -> None:
        self._given_up = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        if self._given_up:
            return
        try:
            with torch.no_grad():
                self._model(self._batch)
        except _GivenUp:
            return
        except BaseException as error:  # the edge of the thread: whoever waits raises it
            self._error = error
        self._came.release()


class _GivenUp(BaseException):
    """The pass is no longer wanted; no network's own `except Exception` may keep it."""
