"""The bodies that the service gives, as its OpenAPI document shows them and its client reads them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from export.manifest import Certainty, ParityReport, Precision, Variant
from harmonic.pixels import PixelSpec


class _Body(BaseModel):
    """A client passes over what a newer service says besides."""

    model_config = ConfigDict(frozen=True)


class ClassScore(_Body):
    """One class of a prediction."""

    label: str
    index: int = Field(description="Position in the model's list of classes.")
    probability: float = Field(ge=0, le=1)


class Prediction(_Body):
    """One image's classes, the likeliest first."""

    classes: list[ClassScore]
    certain: bool | None = Field(
        None, description="Whether the likeliest class reaches the model's `certainty`; absent where it has none."
    )


class Timing(_Body):
    """Milliseconds: decoding, waiting for the model call, the call, and from the request's head to the answer."""

    decode: float
    queue: float
    inference: float
    total: float


class Classification(_Body):
    """The answer to a classify request: a prediction for every image, in order."""

    model: str
    version: int
    predictions: list[Prediction]
    timing_ms: Timing
    norm: Literal["adaptive"] | None = Field(None, description="Present where answers depend on earlier traffic.")
    precision: Precision | None = Field(None, description="Present where it is not fp32.")


class ErrorDetail(_Body):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str


class ErrorBody(_Body):
    """Every error, the framework's own included."""

    error: ErrorDetail


class Policy(_Body):
    """The batching policy in force."""

    max_size: int
    window_ms: float
    max_queue: int
    deadline_ms: float
    priority_levels: int
    default_priority: int


class VersionSummary(_Body):
    """A version in the list."""

    version: int
    state: Literal["ready", "broken", "unloaded (on demand)"]
    reason: str | None = Field(None, description="Why a broken version is left out.")
    remark: str | None = Field(None, description="What is wrong around a version that serves all the same.")
    architecture: str | None = None
    classes: int | None = Field(None, description="How many classes.")
    input_shape: list[int] | None = Field(None, description="Rows, columns, channels.")
    provider: str | None = Field(None, description="ONNX Runtime's provider in force.")
    device: str | None = None
    instances: int | None = None
    memory_bytes: int | None = Field(None, description="What loading it took, where versions are loaded on demand.")
    policy: Policy | None = None
    variant: str | None = Field(
        None, description="`default`: the whole folded net; `native`: its stem in PyTorch; else a precision."
    )
    precision: Precision | None = Field(None, description="Of weights and arithmetic.")
    size_bytes: int | None = Field(None, description="Of the files that hold the graph that runs, on disk.")
    norm: Literal["adaptive"] | None = Field(None, description="Present where answers depend on earlier traffic.")
    metrics: dict[str, Any] = Field(
        default_factory=dict, description="Figures measured when the model was made, with their data."
    )


class VersionDetail(VersionSummary):
    """A version by itself."""

    labels: list[str] | None = Field(None, description="Class labels in the order of the logits.")
    parameters: int | None = None
    pixels: PixelSpec | None = Field(None, description="How the model's images are prepared.")
    documents: list[Literal["card", "spectrum", "report"]] | None = Field(
        None, description="What there is to read under the version's own address."
    )
    variants: list[Variant] | None = Field(None, description="Every way to run the version, loaded or not.")
    parity: ParityReport | None = Field(None, description="How well the exported graph gave the original's answers.")
    certainty: Certainty | None = Field(None, description="From which probability on answers are right how often.")
    license: str | None = None
    notice: str | None = None
    created: str | None = None


class SplitShare(_Body):
    """A version's part of the requests for its model that name no version."""

    version: int
    share: float = Field(description="As it was set.")
    in_force: float = Field(description="As it is now that some versions may not answer.")
    taken_out: str | None = Field(None, description="Why a canary gets no such requests any more.")


class ModelSummary(_Body):
    """A model in the list, its versions in ascending order."""

    name: str
    default: bool
    split: list[SplitShare] | None = Field(None, description="How requests that name no version are shared.")
    versions: list[VersionSummary]


class ModelDetail(_Body):
    """A model by itself."""

    name: str
    default: bool
    split: list[SplitShare] | None = Field(None, description="How requests that name no version are shared.")
    versions: list[VersionDetail]


class ModelList(_Body):
    """Every model of the repository."""

    models: list[ModelSummary]


class Health(_Body):
    """The state of the service."""

    status: str
