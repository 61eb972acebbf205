"""The bodies that the service gives, as the OpenAPI document shows them."""

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, Field

from export.manifest import ParityReport, Precision, Variant
from harmonic.pixels import PixelSpec
from service.engine import DOCUMENTS, BrokenVersion, Catalog, Entry


class ClassScore(BaseModel):
    """One class of a prediction."""

    label: str
    index: int = Field(description="Position in the model's list of classes.")
    probability: float = Field(ge=0, le=1)


class Prediction(BaseModel):
    """One image's classes, the likeliest first."""

    classes: list[ClassScore]


class Timing(BaseModel):
    """Milliseconds: decoding, waiting for the model call, the call, and from the request's head to the answer."""

    decode: float
    queue: float
    inference: float
    total: float


class Classification(BaseModel):
    """The answer to a classify request: a prediction for every image, in order."""

    model: str
    version: int
    predictions: list[Prediction]
    timing_ms: Timing
    norm: Literal["adaptive"] | None = Field(None, description="Present where answers depend on earlier traffic.")
    precision: Precision | None = Field(None, description="Present where it is not fp32.")


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """Every error, the framework's own included."""

    error: ErrorDetail


class Policy(BaseModel):
    """The batching policy in force."""

    max_size: int
    window_ms: float
    max_queue: int
    deadline_ms: float
    priority_levels: int
    default_priority: int


class VersionSummary(BaseModel):
    """A version in the list."""

    version: int
    state: Literal["ready", "broken"]
    reason: str | None = Field(None, description="Why a broken version is left out.")
    remark: str | None = Field(None, description="What is wrong around a version that serves all the same.")
    architecture: str | None = None
    classes: int | None = Field(None, description="How many classes.")
    input_shape: list[int] | None = Field(None, description="Rows, columns, channels.")
    provider: str | None = Field(None, description="ONNX Runtime's provider in force.")
    device: str | None = None
    instances: int | None = None
    policy: Policy | None = None
    variant: str | None = Field(
        None, description="`default`: the whole folded net; `native`: its stem in PyTorch; else a precision."
    )
    precision: Precision | None = Field(None, description="Of weights and arithmetic.")
    norm: Literal["adaptive"] | None = Field(None, description="Present where answers depend on earlier traffic.")
    metrics: dict[str, Any] = Field(
        default_factory=dict, description="Figures measured when the model was made, with their data."
    )


class VersionDetail(VersionSummary):
    """A version by itself."""

    labels: list[str] | None = Field(None, description="Class labels in the order of the logits.")
    parameters: int | None = None
    pixels: PixelSpec | None = Field(None, description="How the model's images are prepared.")
    documents: list[Literal["card", "spectrum"]] | None = Field(
        None, description="What there is to read under the version's own address."
    )
    variants: list[Variant] | None = Field(None, description="Every way to run the version, loaded or not.")
    parity: ParityReport | None = Field(None, description="How well the exported graph gave the original's answers.")
    license: str | None = None
    notice: str | None = None
    created: str | None = None


class ModelSummary(BaseModel):
    """A model in the list, its versions in ascending order."""

    name: str
    default: bool
    versions: list[VersionSummary]


class ModelDetail(BaseModel):
    """A model by itself."""

    name: str
    default: bool
    versions: list[VersionDetail]


class ModelList(BaseModel):
    """Every model of the repository."""

    models: list[ModelSummary]


class Health(BaseModel):
    """The state of the service."""

    status: str


def model_list(catalog: Catalog) -> ModelList:
    """Every model, in brief."""
    return ModelList(
        models=[
            ModelSummary(
                name=name,
                default=name == catalog.default,
                versions=[VersionSummary(**_summary(entry)) for entry in catalog.versions(name)],
            )
            for name in catalog.names()
        ]
    )


def model_detail(catalog: Catalog, name: str) -> ModelDetail | None:
    """One model in full; None if there is none of that name."""
    entries = catalog.versions(name)
    if not entries:
        return None
    versions = [VersionDetail(**_summary(entry), **_detail(entry)) for entry in entries]
    return ModelDetail(name=name, default=name == catalog.default, versions=versions)


def _summary(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, BrokenVersion):
        return {"version": entry.version, "state": "broken", "reason": entry.reason}
    policy = entry.policy
    return {
        "version": entry.version,
        "state": "ready",
        "remark": entry.remark or None,
        "architecture": entry.manifest.architecture,
        "classes": len(entry.manifest.classes),
        "input_shape": list(entry.manifest.pixels.shape),
        "provider": entry.provider,
        "device": entry.device,
        "instances": entry.instances,
        "policy": Policy(**asdict(policy)),
        "variant": entry.variant,
        "precision": entry.precision,
        "norm": "adaptive" if entry.adaptive else None,
        "metrics": entry.manifest.metrics,
    }


def _detail(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, BrokenVersion):
        return {}
    manifest = entry.manifest
    return {
        "labels": list(manifest.classes),
        "parameters": manifest.parameters,
        "pixels": manifest.pixels,
        "documents": [name for name, file in DOCUMENTS.items() if file in manifest.files],
        "variants": list(manifest.variants),
        "parity": manifest.parity,
        "license": manifest.license,
        "notice": manifest.notice,
        "created": manifest.created,
    }
