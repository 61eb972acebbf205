"""A network's operations as a graph, with shapes, strides and what has learned."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harmonic.errors import FeatureError
from harmonic.graph.steps import flow
from harmonic.layers import BandNormConv2d, HarmonicConv2d, SamePadding2d


class Parts(nn.Module):
    """Sizes, several tensors at once, a result that nobody reads, and a mapping as answer."""

    def __init__(self):
        super().__init__()
        self.root = nn.Conv2d(3, 8, 3, 2)

    def forward(self, x):
        rows = x.shape[2]
        y = self.root(x)
        first, second = y.chunk(2, 1)
        y.abs()
        return {"maps": first + second, "rows": rows}


class Choosy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return x if x.sum() > 0 else -x


def by_name(model, size=(3, 32, 32)):
    return {step.name: step for step in flow(model, size)}


def test_steps_come_in_order_between_image_and_answer():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    assert [step.name for step in flow(model, (3, 32, 32))] == ["<input>", "0", "1", "2", "<end>"]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("side", [23, 32])
def test_a_reduction_is_the_stride_whatever_padding_and_size(stride, padding, side):
    steps = by_name(nn.Sequential(nn.Conv2d(3, 4, 5, stride, padding)), (3, side, side))
    assert steps["0"].reduction == stride


def test_reductions_multiply():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(4, 4, 3, 2))
    steps = by_name(model, (3, 50, 70))
    assert [steps[name].reduction for name in ("<input>", "0", "1", "2")] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "layer",
    [
        nn.AdaptiveAvgPool2d(1),  # a single cell
        nn.AdaptiveAvgPool2d(7),  # a fixed number of cells
        nn.Flatten(),  # no map
        nn.Conv2d(3, 4, 1, (1, 2)),  # another stride along rows than along columns
        nn.Conv2d(3, 4, 1, 5),  # a stride that does not divide the growth
        nn.Upsample(scale_factor=2),  # more cells than pixels
        nn.AvgPool2d(32),  # one cell at this size
    ],
)
def test_other_results_have_no_reduction(layer):
    assert by_name(nn.Sequential(layer))["0"].reduction is None


def test_channels_last_are_no_map():
    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    assert by_name(Last(), (3, 32, 32))["permute"].reduction is None


def test_sizes_have_no_shape_and_several_tensors_an_empty_one():
    steps = by_name(Parts())
    assert steps["getattr"].shape is None
    assert steps["root"].shape == (1, 8, 15, 15)
    assert steps["chunk"].shape == ()
    assert steps["<end>"].shape == ()
    assert steps["add"].shape == (1, 4, 15, 15)


def test_what_parameters_have_a_part_in_weighs():
    steps = by_name(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert [steps[name].weighs for name in ("<input>", "0", "1", "2")] == [False, False, True, True]


def test_spectral_layers_and_paddings_stay_whole():
    model = nn.Sequential(
        SamePadding2d((3, 3), (2, 2), (1, 1)), BandNormConv2d(3, 4, 3, stride=2), HarmonicConv2d(4, 4, 3, level=2)
    )
    assert [type(step.operation) for step in flow(model, (3, 32, 32))[1:4]] == [
        SamePadding2d,
        BandNormConv2d,
        HarmonicConv2d,
    ]


def test_the_network_is_not_touched():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    flow(model, (3, 32, 32))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_network_without_memory_has_a_flow_too():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert by_name(model)["0"].shape == (1, 4, 30, 30)


def test_a_network_that_computes_with_values_runs_on_real_ones():
    class Valued(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x)[:, torch.nonzero(self.conv.bias == self.conv.bias)[:, 0]]

    assert by_name(Valued())["<end>"].shape == (1, 4, 30, 30)


def test_a_way_that_depends_on_values_cannot_be_traced():
    with pytest.raises(FeatureError, match=r"Choosy cannot be traced.*control flow.*hooks"):
        flow(Choosy(), (3, 32, 32))


@pytest.mark.parametrize("write", [lambda y: y.mul_(2), F.relu_, partial(F.relu, inplace=True), nn.ReLU(inplace=True)])
def test_what_tracing_would_lose_is_refused(write):
    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.write = nn.Conv2d(3, 4, 3), write

        def forward(self, x):
            y = self.conv(x)
            if self.training:
                self.write(y)
            return y + 1

    with pytest.raises(FeatureError, match=r"Writing writes in place .*(mul_|relu|write).*Let that line"):
        flow(Writing().eval(), (3, 32, 32))


def test_what_is_written_in_place_and_read_is_traced():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.relu(self.conv(x))
            y += 1
            return y.mul_(2)

    assert by_name(Reading())["mul_"].shape == (1, 4, 30, 30)


def test_layers_without_layers_stay_whole():
    class Valued(nn.Module):
        """A layer that looks at values, which tracing into it could not."""

        def forward(self, x):
            return x if x.sum() >= 0 else -x

    assert isinstance(
        by_name(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(), Valued()), (3, 8, 8))["2"].operation, Valued
    )


def test_a_kind_of_layer_that_holds_others_elsewhere_is_traced_into():
    class Shortcut(nn.Module):
        def __init__(self, layer=None):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return x + (x if self.layer is None else self.layer(x))

    assert {"1.add", "2.layer", "2.add"} < by_name(nn.Sequential(nn.ReLU(), Shortcut(), Shortcut(nn.ReLU()))).keys()


@pytest.mark.parametrize("size", [(1, 32, 32), (3, 1, 1)])
def test_an_image_that_does_not_fit_is_told(size):
    with pytest.raises(FeatureError, match=rf"does not run on an image of \({size[0]}, .*Give its own size"):
        flow(nn.Sequential(nn.Conv2d(3, 4, 3)), size)


@pytest.mark.parametrize("size", [(3, 32), (3, 0, 32), (3, 32, 32, 1)])
def test_a_size_is_three_positive_numbers(size):
    with pytest.raises(FeatureError, match="size is channels, rows and columns"):
        flow(nn.Sequential(nn.Conv2d(3, 4, 3)), size)


def test_a_network_for_one_size_alone_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 16 * 16, 2))
    with pytest.raises(FeatureError, match=r"\(3, 224, 224\).*A backbone takes images of any size"):
        flow(model, (3, 32, 32))
