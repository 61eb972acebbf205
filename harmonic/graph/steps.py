"""What flows through a network: its operations as a graph, with the shape of every result.

Traces the network's own code (torch.fx, through torchvision's extractor), then runs it on images of two sizes: what
grows with the image is a feature map, and by how much it grows is its stride, whatever the padding.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from timm.models import get_notrace_functions, get_notrace_modules
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from harmonic.errors import FeatureError, first_line
from harmonic.graph.calls import ImageSize
from harmonic.layers import spectral_kinds

_GROWTH = 192  # pixels by which the second image is larger; every stride that divides it is found exactly
_NETWORK, _END = "network", "end"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a network.

    name: path of its module, then the operation's own name where it is a function; of the image and the answer, a name
    in angle brackets. operation: a module, or a function or its name. inputs: names of the steps that it reads.
    shape: of its result; grown: of its result on the larger image; both None where the result holds no tensor, empty
    where it holds several. weighs: whether a parameter has a part in the result.
    """

    name: str
    operation: Any
    inputs: tuple[str, ...]
    shape: tuple[int, ...] | None
    grown: tuple[int, ...] | None
    weighs: bool

    @property
    def reduction(self) -> int | None:
        """Input pixels for one cell of a feature map (N, C, H, W), along rows as along columns; None for what is none:
        other shapes, sizes that do not follow the image's, and a single cell, which a head may see."""
        if self.shape is None or self.grown is None or not len(self.shape) == len(self.grown) == 4:
            return None
        if self.shape[2:] == (1, 1):
            return None
        growth = {after - before for before, after in zip(self.shape[2:], self.grown[2:], strict=True)}
        cells = growth.pop()
        return _GROWTH // cells if not growth and cells > 0 and _GROWTH % cells == 0 else None


def tracer_arguments(model: nn.Module) -> dict[str, Any]:
    """What stays whole when a network is traced: spectral layers, layers without layers of their own, and what timm
    says of its own.

    Tracing into a layer that writes in place (as timm's stochastic depth does) could lose what it writes.
    """
    modules, functions = get_notrace_modules(), get_notrace_functions()  # type: ignore[no-untyped-call]
    inner = [module for module in model.modules() if module is not model]
    holders = [model, *(module for module in inner if any(True for _ in module.children()))]
    simple = {type(module) for module in inner if not any(True for _ in module.children())}
    simple -= {nn.Module, nn.Sequential, nn.ModuleList}
    simple = {kind for kind in simple if not any(isinstance(holder, kind) for holder in holders)}
    return {"leaf_modules": [*spectral_kinds(), *simple, *modules], "autowrap_functions": functions}


def flow(model: nn.Module, size: ImageSize) -> list[Step]:
    """Every operation of a network in evaluation, in order; the first is the image, the last holds the answer.

    size: channels, rows, columns. Raises FeatureError for a network that cannot be traced, or that does not run on an
    image of that size and on a larger one.
    """
    if len(size) != 3 or min(size) < 1:
        raise FeatureError(f"size is channels, rows and columns of an image, not {size!r}.")
    try:
        return _steps(model, size, "meta")
    except FeatureError:
        if any(parameter.is_meta for parameter in model.parameters()):
            raise
        return _steps(model, size, "cpu")  # Some networks compute with values while they run; those need real ones.


def _steps(model: nn.Module, size: ImageSize, device: str) -> list[Step]:
    twin = copy.deepcopy(model).to(device).eval()
    watched = _watched(twin)
    like = next((p for p in twin.parameters() if p.is_floating_point()), torch.empty(0, device=device))
    values = _run(watched, like, size, "Give its own size")
    larger = (size[0], size[1] + _GROWTH, size[2] + _GROWTH)
    grown = _run(watched, like, larger, "A backbone takes images of any size")
    modules, names = dict(watched.named_modules()), _nodes(watched)
    steps: dict[fx.Node, Step] = {}
    for node, name in names.items():
        before = [steps[source] for source in node.all_input_nodes if source in steps]
        operation = modules[str(node.target)] if node.op == "call_module" else node.target
        own = isinstance(values[name], nn.Parameter) or any(True for _ in _parameters(operation))
        inside, _, own_name = name.partition(".")
        steps[node] = Step(
            own_name if inside == _NETWORK and own_name else f"<{name}>",  # as no layer of the network is called
            operation,
            tuple(step.name for step in before),
            _shape(values[name]),
            _shape(grown[name]),
            own or any(step.weighs for step in before),
        )
    return list(steps.values())


def _watched(model: nn.Module) -> fx.GraphModule:
    """The network as a graph that returns the result of every operation by name."""
    # The layer behind the network marks what it returns, whatever else it computes.
    whole = nn.Sequential(OrderedDict([(_NETWORK, model), (_END, nn.Identity())]))
    try:
        train_names, names = get_graph_node_names(whole, tracer_arguments(model), suppress_diff_warning=True)
        watched: fx.GraphModule = create_feature_extractor(
            whole,
            train_return_nodes=train_names,
            eval_return_nodes=names,
            tracer_kwargs=tracer_arguments(model),
            suppress_diff_warning=True,
        )
    except Exception as error:  # Tracing runs the model's own code, which may raise anything at all.
        raise FeatureError(
            f"{type(model).__name__} cannot be traced, since its way depends on values: {_reason(error)}. "
            "Write that part of it without `if` and `int` on tensors, or take its feature maps with forward hooks."
        ) from error
    if lost := [str(node) for node in _unread(watched) if _writes(node, watched)]:
        raise FeatureError(
            f"{type(model).__name__} writes in place without reading the result ({', '.join(lost[:3])}), which tracing "
            "would lose. Let that line give its result a name."
        )
    return watched.eval()


def _unread(watched: Any) -> Iterator[fx.Node]:
    """Operations of both modes whose results no other reads."""
    for graph in (watched.train_graph, watched.eval_graph):
        yield from (node for node in graph.nodes if node.op != "output" and all(u.op == "output" for u in node.users))


def _writes(node: fx.Node, watched: fx.GraphModule) -> bool:
    """Whether an operation changes what it is given."""
    operation: Any = watched.get_submodule(str(node.target)) if node.op == "call_module" else node.target
    name = getattr(operation, "__name__", str(operation)) if node.op != "call_module" else ""
    written = name.endswith("_") and not name.endswith("__")
    return node.op.startswith("call") and bool(written or getattr(operation, "inplace", node.kwargs.get("inplace")))


def _run(watched: fx.GraphModule, like: Tensor, size: ImageSize, advice: str) -> dict[str, Any]:
    try:
        with torch.no_grad():
            # Called like a module, a traced network prints its own code where it fails.
            values: dict[str, Any] = watched.forward(torch.zeros(1, *size, device=like.device, dtype=like.dtype))
    except Exception as error:  # As above: the model's own code runs.
        reason = _reason(error)
        raise FeatureError(f"the network does not run on an image of {size}: {reason}. {advice}.") from error
    return values


def _nodes(watched: fx.GraphModule) -> dict[fx.Node, str]:
    """Operations in order, with their names, from what the graph returns."""
    (end,) = (node for node in watched.graph.nodes if node.op == "output")
    names = {node: name for name, node in end.args[0].items()}
    return {node: names[node] for node in watched.graph.nodes if node in names}


def _parameters(operation: Any) -> Iterator[nn.Parameter]:
    return operation.parameters() if isinstance(operation, nn.Module) else iter(())


def _shape(value: Any) -> tuple[int, ...] | None:
    """Of a tensor; empty for several tensors together; None for anything else."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return () if any(isinstance(part, Tensor) for part in parts) else None


def _reason(error: Exception) -> str:
    """For the middle of a sentence."""
    return first_line(error).rstrip(".!")
