"""From a network's name and weights to a bundle, converted or as it is: what `harmonic convert` and `import` do."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.bundles.bundle import Bundle, Card, library_versions
from harmonic.bundles.checkpoints import has_head, import_reference, read_state
from harmonic.bundles.classifier import Classifier
from harmonic.bundles.plans import with_plans
from harmonic.conversion import EVERYTHING, Conversion, LayerChoice, convert
from harmonic.data import named_classes, prepare_all, read, read_classes, stratified_split
from harmonic.errors import BundleError, ZooError
from harmonic.pixels import JpegScale

_STATISTICS = 256  # images for the statistics of an inner norm


def open_network(name: str, weights: Path | None, classes: str | None, arguments: dict[str, Any]) -> Bundle:
    """A trained network: a bundle's folder, or an architecture with a file of weights or its hub's.

    Raises BundleError for a name that is neither, or that needs weights.
    """
    if (Path(name) / bundle.CARD).is_file():
        return bundle.load(Path(name))
    if weights is not None:
        return imported(weights, name, classes, arguments)
    if not name.startswith(("torchvision/", "timm/")):
        _must_be_architecture(name)
        raise BundleError(f"{name} comes without weights. Give a file: --weights FILE.")
    model, options = zoo.hubs.pretrained(name)
    arguments = {**arguments, **({"options": options} if options else {})}
    return Bundle(_card(name, arguments, _class_names(name, classes, _answered(model, name))), model.eval())


def imported(
    file: Path,
    architecture: str,
    classes: str | None,
    arguments: dict[str, Any],
    tell: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """A checkpoint as a bundle, loaded strictly.

    One without a last layer gets an untrained one if `classes` names its classes, and `tell` is told so.
    """
    state = read_state(file)
    model = import_reference(
        state, architecture, new_head=None if classes is None else len(named_classes(classes)), **arguments
    )
    if not has_head(state):
        tell(f"{file} has no last layer: the network's last layer is untrained.")
    return Bundle(
        _card(architecture, arguments, _class_names(architecture, classes, _answered(model, architecture))), model
    )


def _must_be_architecture(name: str) -> None:
    """ZooError, or BundleError for what looks like a path, if there is no architecture of that name."""
    try:
        zoo.find(name)
    except ZooError as error:
        if not any(sign in name for sign in "/\\."):
            raise
        raise BundleError(f"{name!r} is neither a bundle's folder nor an architecture: {error}") from error


def _answered(model: torch.nn.Module, architecture: str) -> int:
    """How many classes a network answers."""
    spec = zoo.native_pixels(architecture)
    with torch.inference_mode():
        logits = Classifier(model, spec).eval()(torch.zeros(1, *spec.shape, dtype=torch.uint8))
    return int(logits.shape[1])


def _class_names(architecture: str, classes: str | None, count: int) -> tuple[str, ...]:
    """The names in a file, else what the network's hub calls its classes, else numbers."""
    known = zoo.hubs.class_names(architecture, count) if classes is None else None
    return known or read_classes(classes, count)


def converted(
    start: Bundle, choice: LayerChoice = EVERYTHING, *, data: Sequence[Path] = ()
) -> tuple[Bundle, Conversion]:
    """A harmonic bundle with its report. data: for an inner norm's statistics. The image's size is the bundle's own."""
    spec = start.card.pixels
    images = _normalised(data, start) if data else []
    conversion = convert(start.model, replace(choice, size=(spec.channels, spec.height, spec.width)), images=images)
    card = with_plans(start, {layer.name: layer.plan for layer in conversion.layers}, {})
    return Bundle(card, conversion.model.eval()), conversion


def with_jpeg_scale(made: Bundle, scale: JpegScale | None) -> Bundle:
    """The same network, its JPEGs decoded at that scale; None leaves it as it is."""
    return made if scale is None else replace(made, card=made.card.decoding(scale))


def save_checked(made: Bundle, out: Path) -> None:
    """Write a bundle and read it back, so that what lies on disk is known to be whole."""
    bundle.save(made, out)
    bundle.load(out)


def _normalised(data: Sequence[Path], start: Bundle) -> list[Tensor]:
    """Calibration images as the network itself takes them, in batches."""
    images = read(data, "train")
    share = min(1.0, _STATISTICS / len(images))
    few = images.subset(stratified_split(images.labels, share, seed=1)[1]) if share < 1 else images
    normalise = Classifier(torch.nn.Identity(), start.card.pixels)
    pixels = torch.from_numpy(prepare_all(few, start.card.pixels, title="Reading images"))
    return [normalise(batch) for batch in torch.split(pixels, 32)]


def _card(architecture: str, arguments: dict[str, Any], classes: tuple[str, ...]) -> Card:
    return Card(
        architecture=architecture,
        arguments=arguments,
        classes=classes,
        pixels=zoo.native_pixels(architecture),
        libraries=library_versions(),
    )
