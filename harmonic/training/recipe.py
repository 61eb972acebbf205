"""Training recipes: small TOML files. Every field has the published meaning; a misspelt one is an error."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from harmonic.errors import RecipeError, sentences
from harmonic.near import near
from harmonic.pixels import JpegScale, PixelSpec
from harmonic.training.changes import changed

_Share = Annotated[float, Field(ge=0, lt=1)]
_Positive = Annotated[FiniteFloat, Field(gt=0)]
_NotNegative = Annotated[FiniteFloat, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _full_to_none(value: Any) -> Any:
    """TOML has no null: the full spectrum is written "full"."""
    if isinstance(value, dict):
        return {key: _full_to_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_full_to_none(inner) for inner in value]
    return None if value == "full" else value


def _none_to_full(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _none_to_full(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_none_to_full(inner) for inner in value]
    return "full" if value is None else value


class ModelSection(_Section):
    """architecture: a name of `harmonic models`; arguments: what it takes, a level "full" meaning the whole
    spectrum."""

    architecture: str
    arguments: Annotated[dict[str, Any], BeforeValidator(_full_to_none)] = Field(default_factory=dict)


class DataSection(_Section):
    """Which images are for training.

    validation: share of the training images, per class, that chooses the best epoch; 0 takes the last epoch. Images of
    one group (a lesion) stay together.
    limit: take this many images, an equal share of every class, and leave the rest; null takes all.
    fold: learn from one of the parts that the data set itself defines (STL-10: 0 to 9); null takes all.
    sizes: give every image one fixed size from the first to the second of these, resampled ideally, and make batches of
    one size; for architectures whose pixels are fitted "spectral". Of `augment` only `circular_shift` then applies.
    balance: what is done about rare classes: "none"; "loss" weighs an image's loss by 1 / its class's frequency;
    "sampling" draws every class equally often, with replacement. Either way the epoch is chosen by balanced accuracy,
    and the finished network is corrected for the classes' true shares.
    """

    validation: _Share = 0.1
    limit: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=0)] | None = None
    sizes: tuple[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=2)]] | None = None
    balance: Literal["none", "loss", "sampling"] = "none"


class AugmentSection(_Section):
    """What is done to training images, in this order.

    random_resized_crop: smallest share of the area of a random crop, scaled to the model's size (1.0: off).
    interpolation: how that crop is scaled; "model" as images are when served; "random" takes bilinear or bicubic, by
    chance.
    rotation: turn by up to this many degrees either way, on black.
    pad_crop: pixels of reflected border before a random crop of the model's size.
    flip: mirror half of the images, by chance; "alternating" by chance in the first epoch and then every other time, so
    that two epochs have seen each image both ways.
    quarter_turns: turn by a random multiple of 90 degrees (square images only).
    circular_shift: roll 7 of 10 images by up to this share of each side (only with `data.sizes`).
    color_jitter: scale brightness, contrast and saturation by 1 - x to 1 + x, in random order.
    randaugment: strength, of 30, of two changes of colour or shape drawn for every image (Cubuk 2019; 0: off).
    cutout: side in pixels of a square set to the mean grey (0: off).
    mixup: images of a batch are blended in pairs, their labels too, by a share drawn from Beta(x, x) (Zhang 2017;
    0: off). cutmix: a box of each image comes from another one (Yun 2019; 0: off). With both, each batch takes either.
    """

    random_resized_crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["model", "random"] = "model"
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    pad_crop: Annotated[int, Field(ge=0)] = 0
    flip: bool | Literal["alternating"] = False
    quarter_turns: bool = False
    circular_shift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    randaugment: Annotated[int, Field(ge=0, le=30)] = 0
    cutout: Annotated[int, Field(ge=0)] = 0
    mixup: _NotNegative = 0.0
    cutmix: _NotNegative = 0.0


class StepSchedule(_Section):
    """Multiply the rate by `factor` after each of the epochs in `milestones`.

    warmup: epochs at the start in which the rate rises from nearly nothing, step by step.
    """

    kind: Literal["step"]
    milestones: tuple[Annotated[int, Field(ge=1)], ...]
    factor: _Positive = 0.2
    warmup: Annotated[int, Field(ge=0)] = 0


class CosineSchedule(_Section):
    """Fall from the rate to `final` times the rate along half a cosine, step by step, after `warmup` epochs of rise."""

    kind: Literal["cosine"]
    warmup: Annotated[int, Field(ge=0)] = 0
    final: _Share = 0.0


class OneCycleSchedule(_Section):
    """Rise to the rate in the first `warmup` of all steps, then fall along a cosine to nearly nothing, step by step.

    cycle_momentum: let the momentum swing against the rate, from 0.95 down to 0.85 and back.
    """

    kind: Literal["one-cycle"]
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3
    cycle_momentum: bool = False


class TrainSection(_Section):
    """How to train.

    rate: peak learning rate. optimiser: "sgd" has momentum; "adamw" ignores momentum and nesterov; "muon" turns the
    filters of convolutions, the first layer's aside, by `turn` of their length a step, along orthogonal directions;
    they do not decay, and all else follows "sgd", with nesterov.
    weight_decay applies to every parameter unless decay_norms is false (then to weights alone).
    ema: keep a running mean of the weights, of which every step retains this share (0: none; 0.9998 has a memory of
    5,000 steps). It is what is validated and becomes the bundle.
    clip: largest norm of all gradients together; longer ones are shortened to it (0: off).
    accumulate: batches whose gradients make one step.
    steps: take about so many steps in all, whatever the number of images: `epochs` is then worked out, and `batch`
    lowered until an epoch has several; null takes both as they stand.
    patience: end after this many validations without a better one; null never does.
    temperature: in the end, divide the logits by what makes the validation images likeliest (Guo 2017).
    validate_every: epochs from one validation, log line and checkpoint to the next; it divides the epochs.
    precision: "bf16" computes in bfloat16 where it may; "auto" does so where the hardware has units for it.
    """

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=2)] = 128
    rate: _Positive = 0.1
    optimiser: Literal["sgd", "adamw", "muon"] = "sgd"
    turn: _Positive = 0.1
    momentum: _Share = 0.9
    nesterov: bool = False
    weight_decay: _NotNegative = 5e-4
    decay_norms: bool = True
    schedule: Annotated[StepSchedule | CosineSchedule | OneCycleSchedule, Field(discriminator="kind")]
    label_smoothing: _Share = 0.0
    ema: _Share = 0.0
    clip: _NotNegative = 0.0
    accumulate: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    temperature: bool = False
    validate_every: Annotated[int, Field(ge=1)] = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1

    @model_validator(mode="after")
    def _ends_validated(self) -> Self:
        if self.epochs % self.validate_every:
            raise ValueError(f"validate_every = {self.validate_every} does not divide epochs = {self.epochs}")
        return self


class FinetuneSection(_Section):
    """How the network of a bundle goes on learning; it means nothing without one.

    head: "keep" its last layer, or give it a "new" one for the classes of the images.
    head_epochs: in the beginning the last layer learns alone. thaw_epochs: so long it then takes until all layers
    learn, from the last to the first. lowest_rate: rate of the first layer, as a share of the last one's; between them
    it falls geometrically. freeze_norms: norms keep their statistics, scales and shifts.
    """

    head: Literal["keep", "new"] = "keep"
    head_epochs: Annotated[int, Field(ge=0)] = 0
    thaw_epochs: Annotated[int, Field(ge=0)] = 0
    lowest_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    freeze_norms: bool = False


class DistilSection(_Section):
    """How a teacher's answers are learned, where `--teacher` names one (Hinton 2015).

    weight: their share of the loss. temperature: of both networks' answers.
    """

    weight: Annotated[float, Field(gt=0, le=1)] = 0.7
    temperature: _Positive = 4.0


class Recipe(_Section):
    """A whole recipe. pixels: None takes the architecture's native input. license, notice: for the trained model."""

    title: str
    model: ModelSection
    train: TrainSection
    data: DataSection = DataSection()
    augment: AugmentSection = AugmentSection()
    finetune: FinetuneSection = FinetuneSection()
    distil: DistilSection = DistilSection()
    pixels: PixelSpec | None = None
    license: str | None = None
    notice: str | None = None

    def decoding(self, scale: JpegScale, otherwise: PixelSpec) -> Self:
        """The recipe with its JPEGs decoded at that scale. otherwise: the input, where the recipe names none."""
        return self.model_copy(update={"pixels": (self.pixels or otherwise).decoding(scale)})


def read_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a TOML file, or one that comes with the package by its name.

    changes: `SECTION.FIELD=VALUE`, each put in the place of what the recipe says; a value is written as in TOML, and
    text may go without quotes. RecipeError for whatever is no recipe then.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and name_or_path in shipped():
        path = Path(str(files("harmonic") / "recipes" / f"{name_or_path}.toml"))
    try:
        return Recipe.model_validate(changed(tomllib.loads(path.read_text()), changes))
    except FileNotFoundError as error:
        raise RecipeError(
            f"{name_or_path}: no such recipe. {near(name_or_path, shipped())}"
            f"Give a .toml file, or one of: {', '.join(shipped())}."
        ) from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}.") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: {'; '.join(sentences(error))}.") from error


def as_toml(recipe: Recipe) -> str:
    """A recipe as a TOML file that `read_recipe` reads as the same one, every field in it; null fields are left out."""
    fields = recipe.model_dump(mode="json", exclude_none=True)
    arguments = _none_to_full(recipe.model.arguments)
    return tomli_w.dumps({**fields, "model": {**fields["model"], "arguments": arguments}})


def shipped() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = files("harmonic") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
