"""Whole scale-equivariant networks: equivariance, logits by scale, the exported form, the loss."""

import pytest
import torch
from torch import Tensor, nn

from harmonic import zoo
from harmonic.errors import ZooError
from harmonic.layers import FourierConv2d, Matrices, ShellActivation
from harmonic.pixels import resampler, with_own_size
from tests.support.shapes import unchecked

EXACT = 1e-10
SMALL = {"widths": (3, 4, 5, 5), "hidden": 12}


def randomised(network: nn.Module) -> nn.Module:
    for layer in network.modules():
        if isinstance(layer, ShellActivation):
            for parameter in layer.parameters():
                nn.init.normal_(parameter)
    return network.double().eval()


def created(name: str, **arguments: object) -> nn.Module:
    torch.manual_seed(0)
    return randomised(zoo.create(name, 4, **{**SMALL, **arguments}))


def noise(size: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def shrunk(x: Tensor, size: int) -> Tensor:
    return x if x.shape[-1] == size else Matrices(resampler(x.shape[-1], size))(x)


@torch.no_grad()
def equivariance_error(network: nn.Module, x: Tensor, smaller: int) -> float:
    expected = network.stages(shrunk(x, smaller))
    found = shrunk(network.stages(x), expected.shape[-1])
    return float(((found - expected).square().sum() / expected.square().sum()).sqrt())


@pytest.mark.parametrize("smaller", [9, 13, 21, 25])
def test_the_network_for_small_images_is_equivariant_at_odd_sizes(smaller):
    assert equivariance_error(created("fourier_mnist"), noise(27), smaller) < EXACT


@pytest.mark.parametrize("smaller", [49, 57, 73, 89])
def test_the_network_for_larger_images_is_equivariant_at_the_ends_of_its_bands(smaller):
    assert equivariance_error(created("fourier_stl", widths=(2, 3, 3, 3)), noise(97, 3), smaller) < EXACT


@torch.no_grad()
@pytest.mark.parametrize("smaller", [9, 15, 21, 25])
def test_a_large_images_logits_at_a_scale_are_the_small_images_own(smaller):
    network, x = created("fourier_mnist"), noise(27)

    at_scale = network.scales(x)[:, smaller - 8]

    assert torch.allclose(at_scale, network.scales(shrunk(x, smaller))[:, -1], atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("size", [9, 15, 21, 27])
def test_an_image_brought_to_the_largest_size_is_read_at_its_own_scale(size):
    network, x = created("fourier_mnist"), noise(size)
    planes = torch.stack([torch.from_numpy(with_own_size(i.permute(1, 2, 0).numpy(), 28)) for i in x])

    found = network(planes.permute(0, 3, 1, 2).double())

    assert torch.allclose(found, network.scales(x)[:, -1], atol=1e-4)  # the planes are float32


@torch.no_grad()
def test_images_of_different_sizes_share_a_batch():
    network = created("fourier_mnist")
    planes = torch.cat([noise(28), torch.tensor([[9.0], [28.0]]).double()[..., None, None].expand(-1, 1, 28, 28)], 1)

    together = network(planes)

    assert torch.allclose(together, torch.cat([network(planes[:1]), network(planes[1:])]), atol=1e-12)
    assert torch.allclose(together[0], network.scales(planes[:1, :1])[0, 1], atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments", "size"), [("fourier_mnist", {}, 28), ("fourier_stl", {"widths": (2, 3, 3)}, 97)]
)
def test_the_exported_form_has_no_transform_and_the_same_answers(name, arguments, size):
    network = created(name, **arguments)
    planes = torch.cat([noise(size, network.channels), torch.full((2, 1, size, size), 60.0).double()], 1)

    exported = network.for_export()

    assert torch.allclose(exported(planes), network(planes), atol=1e-10)
    assert not any(isinstance(m, FourierConv2d) for m in exported.modules())
    assert any(isinstance(m, FourierConv2d) for m in network.modules())


def test_sizes_and_parameters_are_the_published_ones():
    network = zoo.create("fourier_mnist", 10)
    kernels = sum(m.weight.numel() for m in network.modules() if isinstance(m, FourierConv2d))
    mixing = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    norms = sum(p.numel() for m in network.modules() if isinstance(m, ShellActivation) for p in m.parameters())
    head = sum(p.numel() for p in network.head.parameters())

    assert (kernels, mixing, norms, head) == (462_000, 18_480, 13_616, 106_538)
    assert network.head.scales(28) == list(range(8, 29))
    assert zoo.create("fourier_stl", 10, widths=(1, 1, 1, 1), hidden=1).head.scales(25) == list(range(11, 26, 2))


def test_the_loss_sums_the_scales_and_punishes_a_scale_that_loses_more():
    network, labels = created("fourier_mnist"), torch.tensor([0, 3])
    planes = torch.cat([noise(13), torch.full((2, 1, 13, 13), 13.0).double()], 1)
    by_scale = torch.stack([nn.functional.cross_entropy(s, labels) for s in network.scales(planes[:, :1]).unbind(1)])
    penalty = sum(m.penalty() for m in network.modules() if isinstance(m, FourierConv2d))

    loss, logits = network.loss(planes, labels, weight_decay=0.03)

    expected = by_scale.sum() + 0.001 * by_scale.diff().clamp(min=0).sum() + 0.001 * 0.03 * penalty
    assert loss.item() == pytest.approx(expected.item())
    assert torch.equal(logits, network.scales(planes[:, :1])[:, -1])


def test_kernels_do_not_decay_and_norms_of_lower_resolutions_decay_less():
    network = zoo.create("fourier_mnist", 10, **SMALL)
    decay = {id(p): group["weight_decay"] for group in network.parameter_groups(0.1) for p in group["params"]}
    stage = network.stages[0]

    assert len(decay) == len(list(network.parameters()))
    assert decay[id(stage.spectral.weight)] == 0
    assert decay[id(stage.activation.weight[1])] == pytest.approx(0.1 * (7 / 28) ** 2)
    assert decay[id(stage.mix.weight)] == decay[id(stage.activation.weight[-1])] == 0.1


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (0,)}, {"hidden": 0}, {"dropout": 1}])
def test_an_impossible_network_is_refused(wrong):
    with pytest.raises(ZooError):
        zoo.create("fourier_mnist", 10, **wrong)


@torch.no_grad()
@pytest.mark.parametrize("name", ["fourier_mnist", "fourier_stl"])
def test_the_networks_answer_under_autocast_and_in_sixteen_bits(name):
    network = zoo.create(name, 4, widths=(2, 3), hidden=8).eval() if name == "fourier_mnist" else created(name).float()
    size, channels = (28, 1) if name == "fourier_mnist" else (97, 3)
    planes = torch.cat([noise(size, channels), torch.full((2, 1, size, size), size)], dim=1).float()
    wanted = network(planes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = network(planes)
    coarse = network.bfloat16()(planes.bfloat16())
    for found in (mixed, coarse):
        assert (found.float() - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_a_fourier_network_trains_under_autocast():
    network = zoo.create("fourier_mnist", 4, widths=(2, 3), hidden=8).train()
    planes = torch.cat([noise(28), torch.full((2, 1, 28, 28), 28)], dim=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = network.loss(planes, torch.tensor([0, 1]), 0.01)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@torch.no_grad()
def test_the_exported_form_of_a_network_compiles_as_one_graph():
    network = created("fourier_mnist", widths=(2,), hidden=4).float()
    planes = torch.cat([noise(28), torch.full((2, 1, 28, 28), 28)], dim=1).float()
    compiled = torch.compile(network.for_export(), fullgraph=True, backend="aot_eager")
    with unchecked():
        assert torch.allclose(compiled(planes), network(planes), atol=1e-4)
