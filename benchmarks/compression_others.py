"""Chosen frequencies beside other ways to compress without training, on ResNet-20 and CIFAR-10.

    python benchmarks/compression_others.py --weights cifar10-resnet20.th --data train.zip --test test.zip \\
        --out runs/others

Ours: levels as truncation leaves them (with the norms moved), levels refitted, and sets of bands refitted, the default.
The others: truncated SVD of every kernel (K x K to a few channels, then 1 x 1), Tucker decomposition of both channel
axes (1 x 1, K x K, 1 x 1; `partial_tucker` of tensorly), and channels of least magnitude inside the blocks (importance
and groups of torch-pruning). Those two packages are needed here alone: pip install tensorly torch-pruning.
All of them choose as we do: what each layer loses at each size is measured on the same images with the norms moved, the
knapsack finds the sizes, and the norms behind move by the difference on the same images. Each is brought to the same
shares of the parameters, and of the multiplications (--budgets).
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorly
import torch
import torch_pruning
from tensorly.decomposition import partial_tucker
from torch import Tensor, nn

from harmonic import data, zoo
from harmonic.bundles import Bundle, Card, import_reference, read_state
from harmonic.compression import (
    Bench,
    Sets,
    calibration,
    compressed,
    cuts_for,
    fully_harmonic,
    losses,
    mac_prices,
    parameter_prices,
    parse_budget,
)
from harmonic.compression.bench import Answers, divergence
from harmonic.compression.knapsack import Option, cheapest_within
from harmonic.compression.norms import move_statistics, outer_norms, statistics
from harmonic.compression.refit import run_order
from harmonic.compression.replay import Replay
from harmonic.compression.way import Way
from harmonic.conversion import as_plain, harmonic_layers
from harmonic.conversion.projection import project
from harmonic.data import prepare_all
from harmonic.graph import Lockstep, macs, parameters, trace
from harmonic.layers import SpectralConv2d

BUDGETS = ("params=0.666", "params=0.339", "macs=0.666", "macs=0.434")
SIZES = (0.125, 0.1875, 0.25, 0.375, 0.5, 0.625, 0.75)  # of the full rank, or of the channels
CPU, IMAGE = torch.device("cpu"), (3, 32, 32)


@dataclass(frozen=True)
class Candidate:
    """One layer's kernel at one size. saved: what the network has less of: parameters, multiplications."""

    layer: str
    kernel: Tensor
    saved: dict[str, int]


Candidates = Callable[[nn.Module], Iterator[Candidate]]
Made = Callable[[str, int], tuple[nn.Module, dict[str, int]]]  # for a measure, and so much of it at most


def kernels(network: nn.Module) -> Iterator[tuple[str, SpectralConv2d, Tensor, int]]:
    """Name, layer, kernel and output positions of every layer but the first, in the order in which they run."""
    positions = {call.name: call.rows * call.columns for call in trace(network, IMAGE)}
    for name, layer in list(harmonic_layers(network).items())[1:]:
        yield name, layer, layer.as_conv2d().weight.detach().double(), positions[name]


def candidate(name: str, kernel: np.ndarray, numbers: int, positions: int, before: Tensor) -> Candidate:
    """A layer that has so many numbers now, each used once at every position."""
    saved = before.numel() - numbers
    return Candidate(name, torch.from_numpy(np.ascontiguousarray(kernel)), {"params": saved, "macs": positions * saved})


def truncated_svd(network: nn.Module) -> Iterator[Candidate]:
    for name, _, kernel, positions in kernels(network):
        out, rest = kernel.shape[0], kernel[0].numel()
        u, s, v = np.linalg.svd(kernel.numpy().reshape(out, rest), full_matrices=False)
        for rank in ranks(len(s)):
            made = (u[:, :rank] * s[:rank]) @ v[:rank]
            yield candidate(name, made.reshape(kernel.shape), rank * (out + rest), positions, kernel)


def tucker(network: nn.Module) -> Iterator[Candidate]:
    """Of both channel axes. Where a layer strides, its first part runs on the larger map."""
    for name, layer, kernel, positions in kernels(network):
        out, inner, taps = *kernel.shape[:2], kernel[0, 0].numel()
        for share in SIZES:
            ranks = max(1, round(share * out)), max(1, round(share * inner))
            (core, (left, right)), _ = partial_tucker(kernel.numpy(), rank=ranks, modes=[0, 1])
            made = tensorly.tenalg.multi_mode_dot(core, [left, right], modes=[0, 1])
            a, b = ranks
            found = candidate(name, made, out * a + a * b * taps + b * inner, positions, kernel)
            found.saved["macs"] -= b * inner * positions * (layer.stride[0] ** 2 - 1)
            yield found


def magnitude_pruning(network: nn.Module) -> Iterator[Candidate]:
    """Channels between a block's two layers, those of least magnitude in the group of both and the norm between first;
    a channel that the second layer does not read is as good as gone."""
    plain = as_plain(network)
    graph = torch_pruning.DependencyGraph().build_dependency(plain, example_inputs=torch.zeros(1, *IMAGE))
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    found = {name: (kernel, positions) for name, _, kernel, positions in kernels(network)}
    for name, (second, positions) in found.items():
        if not name.endswith("conv2"):
            continue
        before = name.removesuffix("2") + "1"
        first, former = found[before]
        layer = plain.get_submodule(before)
        every = list(range(len(first)))
        group = graph.get_pruning_group(layer, torch_pruning.prune_conv_out_channels, idxs=every)
        order = importance(group).argsort()
        for kept in ranks(len(first)):
            gone = order[: len(first) - kept]
            kernel = second.clone()
            kernel[:, gone] = 0
            of_first, of_second = first[gone].numel(), second[:, gone].numel()
            saved = {"params": of_first + of_second + 2 * len(gone), "macs": of_first * former + of_second * positions}
            yield Candidate(name, kernel, saved)


def ranks(most: int) -> list[int]:
    return sorted({max(1, round(share * most)) for share in SIZES})


def chosen(network: nn.Module, way: Candidates, bench: Bench) -> Made:
    """The network at a number of parameters or multiplications, and what it has then of both."""
    layers = harmonic_layers(network)
    found = [one for one in way(network) if min(one.saved.values()) > 0]
    weights = [(project(one.kernel, layers[one.layer].bank).float(), None) for one in found]
    lost, measured = np.zeros(len(found)), bench.some(150)
    batches = measured.batches(CPU)
    order = Way.of(network, batches[0][:1], layers.values(), outer_norms(network).values())
    for batch in batches:
        replay = Replay(network, batch, order)
        for number, one in enumerate(found):
            answers = replay.with_weights(layers[one.layer], weights[number], move_norms=True)
            lost[number] += divergence(replay.answers, answers) * len(batch)
    whole = {"params": parameters(network), "macs": macs(network, IMAGE)}

    def made(measure: str, allowed: int) -> tuple[nn.Module, dict[str, int]]:
        most = {name: max([one.saved[measure] for one in found if one.layer == name], default=0) for name in layers}
        options = {name: [Option(most[name], 0.0)] for name in layers}
        numbers: dict[str, list[int | None]] = {name: [None] for name in layers}
        for number, one in enumerate(found):
            options[one.layer].append(Option(most[one.layer] - one.saved[measure], lost[number] / len(measured.pixels)))
            numbers[one.layer].append(number)
        picks = cheapest_within(options, allowed - (whole[measure] - sum(most.values())))
        if picks is None:
            raise SystemExit(f"{measure} {allowed:,} is too little for {way.__name__}: add smaller SIZES.")
        taken = [n for name, pick in picks.items() if (n := numbers[name][pick]) is not None]
        small = copy.deepcopy(network)
        for number in taken:
            layer = small.get_submodule(found[number].layer)
            layer.weight.data.copy_(weights[number][0].reshape(layer.weight.shape))
        sizes = {m: whole[m] - sum(found[number].saved[m] for number in taken) for m in whole}
        return with_norms_moved(small, network, bench), sizes

    return made


def with_norms_moved(small: nn.Module, whole: nn.Module, bench: Bench) -> nn.Module:
    """As refitting does it, without solving for anything: of variances moved and kept, what answers more as before."""
    before, tried = bench.answers(whole), {}
    for spread in (True, False):
        other, batches = copy.deepcopy(small), bench.batches(CPU)
        norms = outer_norms(other)
        order = run_order(other, list(norms), batches[0][:1])
        with Lockstep(other, batches, before=order) as now, Lockstep(whole, batches, before=order) as was:
            while stop := now.advance():
                former = statistics(was.advance().values)
                move_statistics(norms[stop.layer], statistics(stop.values), former, spread)
        tried[bench.answers(other).divergence(before)] = other
    return tried[min(tried)]


def ours(given: Bundle, network: nn.Module, bench: Bench, sets: Sets, refitted: bool) -> Made:
    """Chosen frequencies; where not refitted, as truncation leaves them."""
    prices = {"params": parameter_prices(network), "macs": mac_prices(network, IMAGE)}
    measured = losses(network, bench, sets=sets, refitted=refitted)

    def made(measure: str, allowed: int) -> tuple[nn.Module, dict[str, int]]:
        cuts = cuts_for(network, measured, allowed, prices[measure])
        small = compressed(given, cuts, record={}, images=bench if refitted else None).model
        small = small if refitted else with_norms_moved(small, network, bench)
        return small, {name: price.total(cuts) for name, price in prices.items()}

    return made


WAYS: dict[str, Callable[[Bundle, nn.Module, Bench], Made]] = {
    **{
        way.__name__: lambda _, network, bench, way=way: chosen(network, way, bench)
        for way in (truncated_svd, tucker, magnitude_pruning)
    },
    "truncation": lambda *given: ours(*given, "levels", refitted=False),
    "levels": lambda *given: ours(*given, "levels", refitted=True),
    "sets": lambda *given: ours(*given, "channel", refitted=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--test", type=Path, action="append", required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--budgets", nargs="+", type=parse_budget, default=[*map(parse_budget, BUDGETS)])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    test = data.read(asked.test, "test")
    spec = zoo.native_pixels("cifar_resnet20")
    model = import_reference(read_state(asked.weights), "cifar_resnet20").eval()
    given = Bundle(Card(architecture="cifar_resnet20", classes=test.classes, pixels=spec), model)
    bench = calibration(asked.data, given.card, asked.images, seed=1)
    held_out = Bench(prepare_all(test, spec, title="Reading test images"), spec, test.labels)
    network = fully_harmonic(model)
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in asked.ways:
        for row in judged(name, WAYS[name](given, network, bench), network, held_out, asked):
            rows.append(row)
            (asked.out / "table.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(table(rows))


def judged(name: str, made: Made, network: nn.Module, held_out: Bench, asked: argparse.Namespace) -> Iterator[dict]:
    """One way at every budget, on the test images."""
    whole = {"params": parameters(network), "macs": macs(network, IMAGE)}
    reference = asked_all(held_out, network)
    for budget in asked.budgets:
        small, sizes = made(budget.kind, budget.allowed(whole[budget.kind]))
        answers = asked_all(held_out, small)
        shares = {f"share of {m}": sizes[m] / whole[m] for m in whole}
        figures = {"top-1": answers.accuracy(), "divergence": answers.divergence(reference)}
        print(name, budget, shares, figures, flush=True)
        yield {"way": name, "budget": str(budget), **sizes, **shares, **figures}


def asked_all(held_out: Bench, network: nn.Module) -> Answers:
    """In bfloat16, which takes a third of the time."""
    with torch.autocast("cpu", torch.bfloat16):
        return held_out.answers(as_plain(network))


def table(rows: list[dict]) -> str:
    """Top-1 and divergence of every way at every budget."""
    budgets = list(dict.fromkeys(row["budget"] for row in rows))
    lines = ["| way | " + " | ".join(budgets) + " |", "|" + "---|" * (len(budgets) + 1)]
    for way in dict.fromkeys(row["way"] for row in rows):
        found = {r["budget"]: f"{r['top-1']:.2%}, {r['divergence']:.4f}" for r in rows if r["way"] == way}
        lines.append(f"| {way} | " + " | ".join(found[budget] for budget in budgets) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
