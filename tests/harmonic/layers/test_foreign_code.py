"""Layers in the hands of code that knows nothing of them: PyTorch's own transformations, wrappers and short cuts."""

import copy
import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harmonic.layers.fourier import FourierConv2d
from harmonic.layers.hamming import FactorisedConv2d, HammingConv2d
from harmonic.layers.shells import ShellActivation
from harmonic.layers.spectral import BandNormConv2d, HarmonicConv2d
from tests.support.forks import ended, forked
from tests.support.laws import assert_close, randomised
from tests.support.shapes import unchecked

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "harmonic": lambda: HarmonicConv2d(4, 6, padding=1, level=4),
    "harmonic, reflected": lambda: HarmonicConv2d(4, 6, 5, padding=2, padding_mode="reflect", groups=2),
    "band norm": lambda: BandNormConv2d(4, 6, padding=1, level=3),
    "hamming": lambda: HammingConv2d(4, 6, 5, padding=2),
    "factorised": lambda: FactorisedConv2d(4, 6, 5, padding=2),
    "fourier": lambda: FourierConv2d(4, 6, taps=3, grid=8),
    "fourier, fixed": lambda: FourierConv2d(4, 6, taps=3, grid=8).at_size(13),
    "shells": lambda: ShellActivation(4, 5, 13),
    "shells, fixed": lambda: ShellActivation(4, 5, 13, pool=2, shells=2).at_size(13),
}
CONVOLUTIONS = ["harmonic", "harmonic, reflected", "band norm", "hamming", "factorised"]

every_layer = pytest.mark.parametrize("name", LAYERS)


def layer(name: str) -> nn.Module:
    torch.manual_seed(0)
    return randomised(LAYERS[name]()).eval()


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 4, 13, 13, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def answer(made: nn.Module, x: Tensor | None = None) -> Tensor:
    answered: Tensor = made(images() if x is None else x)
    return answered


@every_layer
def test_channels_last_changes_no_answer(name):
    made, wanted = layer(name), answer(layer(name))
    made = made.to(memory_format=torch.channels_last)
    assert_close(answer(made), wanted)
    assert_close(answer(made, images().to(memory_format=torch.channels_last)), wanted)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_channels_last_stays_in_the_answer(name):
    given = images().to(memory_format=torch.channels_last)
    assert answer(layer(name), given).is_contiguous(memory_format=torch.channels_last)


@every_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_answers_coarsely_and_leaves_no_trace(name, dtype):
    made, wanted = layer(name), answer(layer(name))
    with torch.autocast("cpu", dtype=dtype):
        coarse = answer(made)
    assert_close(coarse.to(dtype), wanted, ulps=30)
    assert torch.equal(answer(made), wanted)


@every_layer
def test_gradients_flow_under_autocast(name):
    made = layer(name).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made(images().bfloat16()).float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.dtype == p.grad.dtype for p in used(made, name))


def used(made: nn.Module, name: str) -> list[nn.Parameter]:
    """Parameters that reach the answer: norms of even resolutions between the smallest and the image's own do not."""
    return [p for p in made.parameters() if p.grad is not None] if "shells" in name else list(made.parameters())


@every_layer
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_whole_move_to_another_dtype_answers_in_it(name, dtype):
    wanted = answer(layer(name))
    found = answer(layer(name).to(dtype), images().to(dtype))
    assert found.dtype == dtype
    assert_close(found, wanted, ulps=30)


@every_layer
def test_a_move_to_a_coarse_dtype_and_back_leaves_constants_whole(name):
    made, fresh = layer(name).bfloat16().float(), layer(name)
    constants = dict(fresh.named_buffers()).keys() - fresh.state_dict().keys()
    for constant in constants:
        assert torch.equal(made.get_buffer(constant), fresh.get_buffer(constant)), constant


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "shells"])  # its fixed form is what compiles
@pytest.mark.parametrize("gradients", [False, True])
def test_a_layer_compiles_as_one_graph(name, gradients):
    made = layer(name)
    with torch.set_grad_enabled(gradients), unchecked():
        wanted = made(images())
        compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
        assert_close(compiled(images()).detach(), wanted.detach())
        change_weights(made)
        assert_close(compiled(images()).detach(), made(images()).detach())


def change_weights(made: nn.Module) -> None:
    """As averages of weights and old optimisers do it: unseen by autograd."""
    for parameter in made.parameters():
        parameter.data.mul_(0.5).add_(0.1)


@every_layer
def test_weights_changed_unseen_are_the_weights_that_answer(name):
    made = layer(name)
    before = answer(made)
    change_weights(made)
    fresh = layer(name)
    fresh.load_state_dict(made.state_dict())
    assert not torch.equal(answer(made), before)
    assert torch.equal(answer(made), answer(fresh))


@every_layer
def test_an_average_of_weights_answers_as_its_weights_say(name):
    made = layer(name)
    average = torch.optim.swa_utils.AveragedModel(made, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    average.update_parameters(made)
    answer(average)
    change_weights(made)
    average.update_parameters(made)
    fresh = layer(name)
    fresh.load_state_dict(average.module.state_dict())
    assert_close(answer(average), answer(fresh))


@every_layer
def test_a_functional_call_uses_the_weights_it_is_given(name):
    made, other = layer(name), layer(name)
    answer(made)
    change_weights(other)
    with torch.no_grad():
        found = torch.func.functional_call(made, dict(other.named_parameters()), images())
    assert_close(found, answer(other))


@every_layer
def test_an_ensemble_is_mapped_over_its_weights(name):
    x, members = images(), [layer(name), layer(name)]
    change_weights(members[1])
    parameters, buffers = torch.func.stack_module_state(members)
    parameters = {key: value.detach() for key, value in parameters.items()}

    def one(weights: dict[str, Tensor], fixed: dict[str, Tensor]) -> Tensor:
        answered: Tensor = torch.func.functional_call(members[0], (weights, fixed), x)
        return answered

    found = torch.vmap(one)(parameters, buffers)
    for given, member in zip(found, members, strict=True):
        assert_close(given, answer(member))


@every_layer
def test_gradients_of_every_image_can_be_had_at_once(name):
    made = layer(name)
    weights = {key: value.detach() for key, value in made.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        answered: Tensor = torch.func.functional_call(made, weights, x[None]).square().sum()
        return answered

    by_image = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, images())
    made(images()).square().sum().backward()
    for key, parameter in made.named_parameters():
        if parameter.grad is not None:
            assert_close(by_image[key].sum(dim=0), parameter.grad, ulps=1000)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.* is deprecated", "ignore::torch.jit.TracerWarning")
@every_layer
def test_a_trace_answers_for_other_images(name):
    made = layer(name)
    traced = torch.jit.trace(made, images(), check_trace=False)
    assert_close(answer(traced, images(5)), answer(made, images(5)))


@every_layer
def test_a_layer_is_captured_as_a_graph(name):
    made = layer(name)
    program = torch.export.export(made, (images(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert_close(answer(program.module(), images(5)), answer(made, images(5)))


@every_layer
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_is_whole_and_independent(name, copied):
    made, wanted = layer(name), answer(layer(name))
    answer(made)
    twin = copied(made)
    assert torch.equal(answer(twin), wanted)
    change_weights(twin.double())
    assert torch.equal(answer(made), wanted)


@every_layer
def test_a_start_without_memory_ends_in_the_same_layer(name):
    """As sharded training starts: made on the meta device, given memory, then weights."""
    made = layer(name)
    empty = layer(name).to("meta").to_empty(device="cpu")
    empty.load_state_dict(made.state_dict())
    assert torch.equal(answer(empty), answer(made))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_layer_made_under_the_meta_device_takes_weights_in_place_of_its_own(name):
    with torch.device("meta"):
        empty = LAYERS[name]().eval()
    empty.load_state_dict(layer(name).state_dict(), assign=True)
    assert torch.equal(answer(empty), answer(layer(name)))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_parameters_are_reset_after_a_start_without_memory(name):
    """Every part is asked on its own, as sharded training asks it."""
    torch.manual_seed(0)
    fresh = LAYERS[name]().eval()
    empty = LAYERS[name]().eval().to("meta").to_empty(device="cpu")
    for tensor in empty.state_dict().values():
        tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor.fill_(7)
    torch.manual_seed(0)
    for part in empty.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    assert all(torch.isfinite(value).all() for value in empty.state_dict().values())
    assert answer(empty).std() == pytest.approx(float(answer(fresh).std()), rel=0.5)


@every_layer
def test_a_layer_made_in_double_precision_answers_in_it(name):
    torch.set_default_dtype(torch.float64)
    try:
        made = LAYERS[name]().eval()
        assert answer(made, images().double()).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_two_processes_train_one_network(tmp_path):
    """Distributed data parallel with a half of the batch each: the step of the whole batch, twice."""
    workers = [forked(tmp_path / f"{rank}.said", train_in_parallel, rank, tmp_path) for rank in range(2)]
    assert [ended(worker) for worker in workers] == [0, 0]
    alone = network()
    train(alone, alone, images(4))
    for rank in range(2):
        assert_same_state(torch.load(tmp_path / f"{rank}.pt", weights_only=True), alone.state_dict())


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(HarmonicConv2d(4, 6), HammingConv2d(6, 6, 5, padding=2), FourierConv2d(6, 2, taps=3, grid=8))


def train(network: Callable[[Tensor], Tensor], weights: nn.Module, x: Tensor) -> None:
    optimiser = torch.optim.SGD(weights.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        network(x).square().mean().backward()
        optimiser.step()


def train_in_parallel(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    made = network()
    train(nn.parallel.DistributedDataParallel(made), made, images(4)[2 * rank : 2 * rank + 2])
    torch.save(made.state_dict(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def assert_same_state(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert_close(found[name], tensor)
