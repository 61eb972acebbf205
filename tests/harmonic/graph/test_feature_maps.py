"""Which results of a network are chosen as its feature maps."""

import pytest
from torch import nn
from torch.nn import functional as F

from harmonic.errors import FeatureError
from harmonic.graph.feature_maps import FeatureMap, named, pyramid, unavoidable
from harmonic.graph.steps import flow
from harmonic.layers import SamePadding2d

SIZE = (3, 32, 32)


def conv(inputs, outputs, stride=1, kernel=3):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def chosen(model, size=SIZE):
    return [(found.reduction, found.channels, found.layer) for found in pyramid(flow(model, size))]


class Residual(nn.Module):
    """A shortcut passes everything but the first and the last step; the size passes everything, and does not count."""

    def __init__(self, stride=1):
        super().__init__()
        self.first, self.second = conv(4, 4, stride), conv(4, 4)
        self.shortcut = conv(4, 4, stride, kernel=1)

    def forward(self, x):
        images = x.shape[0]
        y = self.second(F.relu(self.first(x))) + self.shortcut(x)
        return F.relu(y).reshape(images, 4, y.shape[2], y.shape[3])


def test_what_a_shortcut_passes_is_avoidable():
    names = [step.name for step in unavoidable(flow(nn.Sequential(conv(3, 4), Residual()), SIZE))]
    assert names == ["<input>", "0", "1.add", "1.relu_1", "1.reshape", "<end>"]


def test_what_nobody_reads_is_avoidable():
    class Idle(nn.Module):
        def forward(self, x):
            x.abs()
            return x * 2

    assert [step.name for step in unavoidable(flow(Idle(), SIZE))] == ["<input>", "mul", "<end>"]


def test_a_stage_ends_behind_its_last_block():
    model = nn.Sequential(conv(3, 4), nn.ReLU(), Residual(), Residual(2), Residual(), nn.AdaptiveAvgPool2d(1))
    assert chosen(model) == [(1, 4, "2"), (2, 4, "4")]


def test_a_pre_activated_stage_ends_behind_its_activation():
    model = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 8, 2), nn.BatchNorm2d(8), nn.ReLU())
    assert chosen(model) == [(1, 4, "2"), (2, 8, "5")]


def test_a_bare_convolution_before_a_pool_is_part_of_the_next_stage():
    model = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 4, kernel=1), nn.AvgPool2d(2), conv(4, 8), nn.ReLU())
    assert chosen(model) == [(1, 8, "1"), (2, 8, "5")]


def test_a_bare_convolution_is_taken_where_there_is_nothing_else():
    assert chosen(nn.Sequential(conv(3, 8, 2), conv(8, 8, 2), nn.ReLU())) == [(2, 8, "0"), (4, 8, "2")]


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Identity(), nn.ZeroPad2d(1), SamePadding2d((3, 3), (2, 2), (1, 1))]
)
def test_what_says_nothing_new_is_not_taken(layer):
    assert chosen(nn.Sequential(conv(3, 8), nn.ReLU(), layer, conv(8, 8, 2), nn.ReLU())) == [(1, 8, "1"), (2, 8, "4")]


def test_what_functions_drop_and_pad_is_not_taken():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv(3, 8)

        def forward(self, x):
            return F.pad(F.dropout(F.relu(self.conv(x)), 0.5, self.training), (1, 1, 1, 1)).mean((2, 3))

    assert chosen(Functional()) == [(1, 8, "relu")]


def test_neither_the_image_nor_what_is_only_scaled_is_a_map():
    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv(3, 8, 2)

        def forward(self, x):
            return F.relu(self.conv(F.avg_pool2d(x * 2 - 1, 1)))

    assert chosen(Scaling()) == [(2, 8, "relu")]


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(7), nn.AvgPool2d(32)])
def test_pooled_maps_do_not_count(pool):
    assert chosen(nn.Sequential(conv(3, 8), nn.ReLU(), pool, nn.Flatten(2))) == [(1, 8, "1")]


def test_a_classifier_that_is_a_convolution_is_head():
    head = [nn.Dropout(0.5), conv(8, 5, kernel=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    assert chosen(nn.Sequential(conv(3, 8), nn.ReLU(), *head)) == [(1, 8, "1")]


def test_a_network_that_answers_with_a_map_has_no_head():
    assert chosen(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 5, kernel=1), nn.ReLU())) == [(1, 5, "3")]


def test_names_are_as_short_as_they_can_be():
    stages = nn.Sequential(nn.Sequential(conv(3, 4), nn.ReLU()), nn.Sequential(conv(4, 8, 2), nn.ReLU()))
    assert chosen(nn.Sequential(stages, nn.Flatten(2))) == [(1, 4, "0.0"), (2, 8, "0")]


def test_a_network_without_maps_is_told():
    with pytest.raises(FeatureError, match=r"no feature map.*Name some of its layers"):
        pyramid(flow(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), SIZE))


def test_modules_and_operations_can_be_named():
    steps = flow(nn.Sequential(conv(3, 4), Residual()), SIZE)
    assert named(steps, "1") == FeatureMap("1", 4, 1)
    assert named(steps, "1.relu") == FeatureMap("1.relu", 4, 1)


def test_a_misspelt_layer_is_answered_with_near_ones():
    with pytest.raises(FeatureError, match=r"no layer '1\.secnd'\. Near: 1\.second"):
        named(flow(nn.Sequential(conv(3, 4), Residual()), SIZE), "1.secnd")


def test_a_layer_that_gives_no_map_is_told():
    with pytest.raises(FeatureError, match=r"layer '1' gives no map.*\(1, 3072\)"):
        named(flow(nn.Sequential(conv(3, 3), nn.Flatten(), nn.Identity()), SIZE), "1")
