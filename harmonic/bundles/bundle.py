"""A trained classifier on disk: `weights.safetensors`, `bundle.json`, and `report.json` where it was judged. Loading is
strict and never executes code."""

import platform
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self, overload

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialised
from torch import Tensor, nn

from harmonic import zoo
from harmonic.bundles.prediction import Picture, Prediction, predictions
from harmonic.bundles.report import REPORT, Report, read_report
from harmonic.disk import must_be_free, schema_of, sync, sync_names
from harmonic.errors import BundleError, SpectrumError, ZooError, sentence
from harmonic.pixels import JpegScale, PixelSpec

SCHEMA = 2  # the newest; what needs no more is written as the oldest, which earlier builds read
_OLDEST = 1  # knows no sets of bands
CARD = "bundle.json"
WEIGHTS = "weights.safetensors"


class Card(BaseModel):
    """What `bundle.json` says.

    architecture, arguments: for `zoo.create`. classes: labels in the order of the logits. metrics: measured figures
    with their data.
    recipe: the recipe that trained it. libraries: versions that trained it. license, notice: for the served model's
    metadata.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _OLDEST
    architecture: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    pixels: PixelSpec
    recipe: dict[str, Any] | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    license: str | None = None
    notice: str | None = None

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) != len(classes):
            raise ValueError("class names must be distinct")
        return classes

    @field_validator("arguments")
    @classmethod
    def _own(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if "classes" in arguments:
            raise ValueError("the number of classes is no argument; it is that of the names")
        return arguments

    def decoding(self, scale: JpegScale) -> Self:
        """The card of the same network, its JPEGs decoded at that scale."""
        return self.model_copy(update={"pixels": self.pixels.decoding(scale)})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A network with everything that is needed to use it: input NCHW as `card.pixels` says, output logits of
    `card.classes`. report: what was found when exactly this network was judged."""

    card: Card
    model: nn.Module
    report: Report | None = None

    @overload
    def predict(self, images: Picture) -> Prediction: ...  # type: ignore[overload-overlap]  # a str is one path

    @overload
    def predict(self, images: Iterable[Picture]) -> list[Prediction]: ...

    def predict(self, images: Picture | Iterable[Picture]) -> Prediction | list[Prediction]:
        """The probabilities of the classes, as the service would answer.

        images: a path, the bytes of an encoded image, a Pillow image or an array, (height, width) or (height, width, 3)
        of uint8; for several of them, in a list, the answer is a list. Every kind of pixel that the service takes is
        taken, and turned as its EXIF orientation says. The network answers where it lies (`bundle.model.to("cuda")`)
        and is in evaluation mode afterwards.
        PixelError names an image that cannot be read, has pixels of unknown range (floating point), or is too small.
        """
        if isinstance(images, str | Path | bytes | Image.Image | np.ndarray):
            return self.predict([images])[0]
        return predictions(self.model, self.card.pixels, self.card.classes, images)


def library_versions() -> dict[str, str]:
    """Versions of what shaped the weights."""
    names = ("harmonic-inference", "torch", "torchvision", "numpy", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def save(bundle: Bundle, folder: Path) -> None:
    """Write a bundle as a new folder, whole or not at all.

    It has its name only once it lies on the disk. BundleError if something is there already, or cannot be written, and
    for a network that the card's architecture and arguments would not build again.
    """
    must_be_free(folder)
    _must_be_built_again(bundle)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write(bundle, staging)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_names(folder.parent)
    except OSError as error:  # a disk that is full or that may not be written
        raise BundleError(f"{folder}: cannot be written: {error.strerror or error}. Nothing was saved.") from error


def load(folder: str | Path) -> Bundle:
    """Read a bundle onto the CPU, in evaluation mode; BundleError for whatever is missing, damaged or left over."""
    folder = Path(folder)
    card = read_card(folder)
    try:
        model = zoo.create(card.architecture, len(card.classes), **card.arguments)
    except (ZooError, SpectrumError) as error:
        raise BundleError(f"{folder / CARD}: {error}") from error
    load_strictly(model, _read_weights(folder / WEIGHTS), source=folder / WEIGHTS)
    return Bundle(card, model.eval(), read_report(folder))


def read_card(folder: Path) -> Card:
    """Read `bundle.json` alone."""
    path = folder / CARD
    try:
        written = path.read_bytes()
        _must_be_readable(path, written)
        card = Card.model_validate_json(written)
    except FileNotFoundError as error:
        raise BundleError(f"{folder} is no bundle: it has no {CARD}. `harmonic train` makes one.") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {sentence(error, 'file')}. Save it again.") from error
    return card


def _must_be_readable(path: Path, written: bytes) -> None:
    """BundleError for another schema, asked first: what else a newer card says is no damage."""
    schema = schema_of(written, _OLDEST)
    if not _OLDEST <= schema <= SCHEMA:
        advice = "It was saved by a newer version of this package: update it." if schema > SCHEMA else "Save it again."
        raise BundleError(f"{path}: schema {schema}; this build reads {_OLDEST} to {SCHEMA}. {advice}")


def load_strictly(
    model: nn.Module, state: dict[str, Tensor], *, source: object, origins: Mapping[str, str] | None = None
) -> None:
    """Load a state into a model; BundleError lists what is missing, left over, or of the wrong shape or kind.

    origins: what the source itself calls the state's tensors, where that is another name.
    """
    problems = _problems(model.state_dict(), state, origins or {})
    if problems:
        raise BundleError(f"{source} does not fit the architecture: {problems}.")
    model.load_state_dict(state, strict=True)


def _problems(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], own: Mapping[str, str]) -> str:
    both = [(own.get(name, name), state[name], wanted[name]) for name in wanted.keys() & state.keys()]
    problems = [
        _listing("missing", wanted.keys() - state.keys()),
        _listing("left over", (own.get(name, name) for name in state.keys() - wanted.keys())),
        _listing(
            "of the wrong shape",
            (f"{name} {tuple(t.shape)}, wanted {tuple(w.shape)}" for name, t, w in both if t.shape != w.shape),
        ),
        _listing(
            "of the wrong kind",
            (f"{name} {_kind(t)}, wanted {_kind(w)}" for name, t, w in both if not _may_become(t, w)),
        ),
        _listing(
            "with values that are not finite", (own.get(name, name) for name, t in state.items() if _is_spoilt(t))
        ),
    ]
    return "; ".join(filter(None, problems))


def _must_be_built_again(bundle: Bundle) -> None:
    card, state = bundle.card, bundle.model.state_dict()
    advice = "Say in the card what builds it; an architecture of your own is registered with zoo.register first."
    with torch.random.fork_rng(devices=[]):  # saving must not change what a training draws next
        try:
            again = zoo.create(card.architecture, len(card.classes), **card.arguments)
        except (ZooError, SpectrumError) as error:
            raise BundleError(f"this network could not be loaded again: {error} {advice}") from error
    problems = _problems(again.state_dict(), state, {})
    if not problems:
        constants = {name: t for name, t in bundle.model.named_buffers() if name not in state}
        fresh = {name: t for name, t in again.named_buffers() if name not in state}
        differ = {n for n in constants.keys() & fresh.keys() if not _same(constants[n], fresh[n])}
        problems = _listing("constants that differ", differ | (constants.keys() ^ fresh.keys()))
    if problems:
        raise BundleError(
            f"{card.architecture} with the arguments {card.arguments} is another network, so this one could not be "
            f"loaded again: {problems}. {advice}"
        )


def _same(constant: Tensor, fresh: Tensor) -> bool:
    """Equal up to the rounding of the coarser dtype."""
    if constant.shape != fresh.shape or constant.is_meta or fresh.is_meta or not constant.is_floating_point():
        return constant.shape == fresh.shape
    step = max(torch.finfo(constant.dtype).eps, torch.finfo(fresh.dtype).eps)
    return bool(torch.allclose(constant.double().cpu(), fresh.double().cpu(), rtol=4 * step, atol=4 * step))


def _write(bundle: Bundle, staging: Path) -> None:
    # Copies: a network may use one weight in two places, and safetensors refuses memory that is shared.
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in bundle.model.state_dict().items()}
    (staging / WEIGHTS).write_bytes(serialised(state))
    card = bundle.card.model_copy(update={"schema_version": _schema(bundle.card)})
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if bundle.report:
        (staging / REPORT).write_text(bundle.report.written(), encoding="utf-8")
    staging.chmod(0o755)
    sync(staging)


def _schema(card: Card) -> int:
    """The oldest schema that says what a card says."""
    plans = (card.arguments.get("spectrum") or {}).values()
    return SCHEMA if any(isinstance(plan, Mapping) and plan.get("bands") for plan in plans) else _OLDEST


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except SafetensorError as error:
        raise BundleError(f"{path}: damaged ({error}). Take it from its source again.") from error


def _may_become(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor can be copied to a wanted one with no more loss than rounding."""
    plain = tensor.layout is torch.strided and not (tensor.is_quantized or tensor.is_complex() or tensor.is_meta)
    return plain and (tensor.is_floating_point() or not wanted.is_floating_point())


def _is_spoilt(tensor: Tensor) -> bool:
    plain = tensor.layout is torch.strided and not (tensor.is_quantized or tensor.is_meta)
    return plain and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def _kind(tensor: Tensor) -> str:
    layout = "" if tensor.layout is torch.strided else f"{tensor.layout} ".removeprefix("torch.")
    return f"{layout}{tensor.dtype}{' without values' if tensor.is_meta else ''}"


def _listing(what: str, found: Iterable[str], shown: int = 5) -> str:
    names = sorted(found)
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} {what}: {', '.join(names[:shown])}{rest}" if names else ""
