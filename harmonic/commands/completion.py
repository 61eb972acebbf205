"""What the shell offers when a name is half typed. Loads neither torch nor a hub: a shell waits for the answer."""

from collections.abc import Iterable

# The names of `harmonic models`, which the zoo could say only after it has loaded torch. A test holds them to it.
ARCHITECTURES = (
    "cifar_resnet20",
    "cifar_resnet56",
    "cifar_vgg7_1",
    "cifar_harm_vgg7_1",
    "cifar_vgg10_1",
    "cifar_harm_vgg10_1",
    "fourier_mnist",
    "fourier_small",
    "fourier_stl",
    "scale_cnn",
    "wrn16_8",
    "wrn28_6",
    "wrn28_8",
    "wrn28_10",
    "harm1_wrn28_10",
    "harm_wrn16_2",
    "harm_wrn16_4",
    "harm_wrn16_8",
    "harm_wrn28_10",
    "stl10_wrn16_8",
    "stl10_harm_wrn16_8",
    "hamming_resnet18",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "harm1_resnet18",
    "harm1_resnet34",
    "harm1_resnet50",
    "harm1_resnet101",
    "harm1_resnet152",
    "harm_resnet18",
    "harm_resnet34",
    "harm_resnet50",
    "harm_resnet101",
    "harm_resnet152",
    "torchvision/squeezenet1_0",
    "timm/convnext_atto",
    "harm_lesion",
    "plain_lesion",
    "se_resnext101_32x4d",
    "harm_se_resnext101_32x4d",
    "harm_se_resnext101_64x4d",
    "vgg16",
    "vgg16_bn",
    "harm_vgg11",
    "harm_vgg13",
    "harm_vgg16",
    "harm_vgg19",
    "harm_vgg11_bn",
    "harm_vgg13_bn",
    "harm_vgg16_bn",
    "harm_vgg19_bn",
)


def architectures(incomplete: str) -> list[str]:
    """Architectures that begin so."""
    return _beginning(incomplete, ARCHITECTURES)


def recipes(incomplete: str) -> list[str]:
    """Recipes of this package that begin so; where none does, the shell offers files."""
    from harmonic.training import shipped

    return _beginning(incomplete, shipped())


def releases(incomplete: str) -> list[str]:
    """Released networks that begin so."""
    from harmonic.bundles import RELEASES

    return _beginning(incomplete, RELEASES)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
