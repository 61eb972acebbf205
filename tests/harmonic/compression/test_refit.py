"""What truncation loses comes back: refitted networks are nearer to the whole one, on images that were not used."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harmonic.compression.candidates import refitted_weights
from harmonic.compression.norms import outer_norms
from harmonic.compression.refit import refit, run_order
from harmonic.compression.sensitivity import fully_harmonic, with_cuts
from harmonic.conversion import harmonic_layers, harmonise
from tests.support.compression import network

NETWORKS = {
    "residual": ("cifar_resnet8", {}),
    "norms before": ("wrn10_1", {}),
    "band-normed": ("harm_wrn10_1", {}),
    "biases and no norms": ("torchvision/squeezenet1_1", {}),
    "grouped": ("timm/test_resnet", {}),
}


@pytest.fixture(scope="module")
def images():
    """Smooth ones, as photographs are: batches to solve on, and one that is held out."""
    torch.manual_seed(3)
    smooth = F.avg_pool2d(F.interpolate(torch.randn(96, 3, 10, 10), 48, mode="bicubic"), 3, 1, 1)
    *batches, held_out = torch.split(smooth, 32)
    return batches, held_out


def settled(model, batches):
    """With the statistics that training would have left in the norms."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        for batch in batches:
            model(batch)
    return model.eval()


def divergence(reference, model, batch):
    with torch.no_grad():
        wanted, got = (F.log_softmax(each(batch).double(), dim=1) for each in (reference, model))
    return float(F.kl_div(got, wanted, reduction="batchmean", log_target=True))


def uniform(model, level=2):
    return with_cuts(model, dict.fromkeys(harmonic_layers(model), level))


@pytest.mark.parametrize(("name", "arguments"), NETWORKS.values(), ids=NETWORKS)
def test_a_refitted_network_answers_more_as_the_whole_one_does(name, arguments, images):
    batches, held_out = images
    whole = fully_harmonic(settled(network(name, **arguments), batches))
    truncated = uniform(whole)
    lost = divergence(whole, truncated, held_out)
    kept = copy.deepcopy(whole.state_dict())
    assert divergence(whole, refit(truncated, whole, batches), held_out) < 0.9 * lost
    assert all(torch.equal(value, kept[key]) for key, value in whole.state_dict().items())


def test_depth_wise_layers_are_refitted_with_their_variances_kept(images):
    """A filter alone can make up for little: scaled up to its former variance, the rest is mostly noise."""
    batches, held_out = images
    whole = fully_harmonic(settled(network("timm/test_efficientnet"), batches))
    scaled, kept = (divergence(whole, refit(uniform(whole), whole, batches, spread=s), held_out) for s in (True, False))
    assert kept < 0.8 * scaled


def test_a_network_that_lost_nothing_stays_as_it_is(images):
    whole = fully_harmonic(network())
    same = refit(copy.deepcopy(whole), whole, images[0])
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in whole.state_dict().items())


def test_what_was_dropped_comes_back_where_the_rest_can_say_it(images):
    """Of a constant image only the mean of the window is left, whatever the kernel."""
    flat = [torch.ones(4, 3, 8, 8) * torch.linspace(-1, 1, 12).reshape(4, 3, 1, 1)]
    torch.manual_seed(0)
    whole = harmonise(nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(5 * 36, 3)), size=(3, 8, 8)).eval()
    with torch.no_grad():
        whole[0].bank[1:] += 0.3  # filters that are no longer blind for the mean
    small = with_cuts(whole, {"0": 1})
    before = (small(flat[0]) - whole(flat[0])).abs().max()
    after = (refit(small, whole, flat)(flat[0]) - whole(flat[0])).abs().max()
    assert after < 0.01 * before


def test_statistics_move_by_the_difference_only(images):
    """Norms in front of the first truncated layer, and statistics that calibration images do not have, stay."""
    batches, _ = images
    whole = fully_harmonic(network())
    small = refit(with_cuts(whole, {"layer3.0.conv2": 3}), whole, batches)
    norms, kept = outer_norms(small), outer_norms(whole)
    moved = [name for name in norms if not torch.equal(norms[name].running_mean, kept[name].running_mean)]
    assert moved == ["layer3.0.bn2"]
    drift = (norms["layer3.0.bn2"].running_mean - kept["layer3.0.bn2"].running_mean).abs().max()
    assert drift < 0.5 * kept["layer3.0.bn2"].running_mean.abs().max()


def test_a_layer_that_runs_twice_stays_as_truncated(images):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.conv(self.conv(self.stem(x)).relu_()).mean((2, 3)))

    torch.manual_seed(0)
    whole = fully_harmonic(Twice())
    small = uniform(whole)
    plain = {name: layer.weight.clone() for name, layer in harmonic_layers(small).items()}
    refit(small, whole, images[0])
    assert torch.equal(small.conv.weight, plain["conv"])
    assert not torch.equal(small.stem.weight, plain["stem"])
    assert run_order(small, ["conv", "stem"], images[0][0][:1]) == ["stem", "conv", "conv"]


def test_one_layer_alone_is_solved_for_alike_as_candidate_and_in_its_place(images):
    batches, _ = images
    whole = fully_harmonic(network())
    name = "layer2.0.conv1"
    weights, _ = refitted_weights(whole, batches)[name][2]
    small = refit(with_cuts(whole, {name: 2}), whole, batches)
    kept = [whole.get_submodule(name).frequencies.index(pair) for pair in small.get_submodule(name).frequencies]
    assert torch.allclose(weights[:, :, kept], small.get_submodule(name).weight, atol=1e-5)
    assert not weights[:, :, [i for i in range(9) if i not in kept]].any()


def test_equal_images_give_equal_bits(images):
    whole = fully_harmonic(network())
    one, other = (refit(uniform(whole), whole, images[0]).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
