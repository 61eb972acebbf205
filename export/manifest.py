"""What a served model version promises: `manifest.json`, read by the service before anything else.

Torch-free: the export writes it, the service trusts it only after checking every file's SHA-256.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from export.errors import ManifestError
from harmonic.disk import schema_of
from harmonic.errors import sentence
from harmonic.pixels import PixelSpec

SCHEMA, OLDEST_SCHEMA = 3, 1
MANIFEST = "manifest.json"
WHOLE_NET = "model.onnx"
GOLDENS = "golden.npz"
CARD, SPECTRUM, REPORT = "MODEL_CARD.md", "spectrum.json", "report.json"  # documents, for people
NATIVE, BODY, FEATURES = "native", "body.onnx", "features"
ON_CPU, CPU_NET = "cpu", "cpu.onnx"

StemMode = Literal["folded", "native"]
Precision = Literal["fp32", "fp16", "int8"]
DeviceKind = Literal["cpu", "cuda"]
NormMode = Literal["frozen", "adaptive"]

_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParityReport(_Frozen):
    """How well ONNX Runtime gave PyTorch's answers when the version was exported; errors are absolute, of logits."""

    batches: tuple[int, ...]
    max_error: float
    mean_error: float
    top1_agreement: Annotated[float, Field(ge=0, le=1)]
    largest_logit: float


class Stem(_Frozen):
    """A first layer that PyTorch runs in three steps: depth-wise bank, norm of every band, 1x1.

    file: its tensors (safetensors). output: channels, rows, columns of what it hands to the body, float32.
    stride, padding, padding_mode, dilation: of the bank, as PyTorch's Conv2d. groups: of the 1x1. eps: of the norm.
    norm: "adaptive" allows the service to move the norm with its traffic, if the operator allows it too.
    """

    file: _FileName = "stem.safetensors"
    output: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] | Literal["same", "valid"] = (0, 0)
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    dilation: tuple[int, int] = (1, 1)
    groups: Annotated[int, Field(ge=1)] = 1
    eps: Annotated[float, Field(gt=0)] = 1e-5
    norm: NormMode = "frozen"


class Measured(_Frozen):
    """What a variant loses and gains against the default one, measured when it was exported.

    device, processor: where it was timed, on a CPU with one thread. batch: images in each timed call. speedup: the
    default's time over the variant's, the median of pairs.
    images: how many it was judged on. agreement: share of them whose likeliest class is the default's.
    top1, drop: share of right answers, and how many points of it are lost; None where the images had no labels.
    kept: layers that stay in float.
    """

    device: DeviceKind
    processor: str
    batch: Annotated[int, Field(ge=1)]
    speedup: Annotated[float, Field(gt=0)]
    images: Annotated[int, Field(ge=1)]
    agreement: Annotated[float, Field(ge=0, le=1)]
    top1: Annotated[float, Field(ge=0, le=1)] | None = None
    drop: float | None = None
    kept: tuple[str, ...] = ()


class LayerForm(_Frozen):
    """How one layer lies in the graph. form: "fused", or the name of another. filters: it holds so many `of` all."""

    layer: str
    form: str
    filters: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]


class LayoutPlan(_Frozen):
    """How the layers lie in the graph that may lie otherwise than fused, where not all are fused.

    multiplications: for one image, all fused and as it is. gains: how many times as fast as all fused, by batch, with
    one thread on `device`; empty where nothing was measured.
    """

    layers: tuple[LayerForm, ...]
    multiplications: tuple[int, int]
    gains: dict[int, float] = Field(default_factory=dict)
    device: str | None = None


class Variant(_Frozen):
    """One way to run the version.

    name: what a request asks for; "default" is always there and always the whole folded net.
    file: ONNX file beside the manifest. precision: of weights and arithmetic. layout: how spectral layers were laid
    out; plan: layer by layer, where not all are fused (schema 2).
    devices: where it may run. tolerance: largest absolute difference of a golden logit that is still the same answer.
    goldens: npz with `images` (uint8, N x H x W x C) and `logits` (float32, N x classes).
    stem: None where `file` is the whole net; else `file` is the body, which takes what the stem gives as `features`.
    parity: of this variant, where it is not the default. measured: what another precision, or another layout for one
    kind of device, loses and gains.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)] = "default"
    file: _FileName = WHOLE_NET
    precision: Precision = "fp32"
    layout: str = "fused"
    devices: tuple[DeviceKind, ...] = ("cpu", "cuda")
    tolerance: Annotated[float, Field(gt=0)] = 1e-3
    goldens: _FileName = GOLDENS
    stem: Stem | None = None
    parity: ParityReport | None = None
    measured: Measured | None = None
    plan: LayoutPlan | None = None

    @property
    def files(self) -> set[str]:
        """Names of the files that it needs."""
        return {self.file, self.goldens} | ({self.stem.file} if self.stem else set())


class Certainty(_Frozen):
    """From which probability on the likeliest class is right as often as was wanted.

    probability: the least one. precision: the share of the answers at or above it that is right, by so many `images`
    that the model had not learned from. at_least: the lower end of that share's interval.
    """

    probability: Annotated[float, Field(ge=0, le=1)]
    precision: Annotated[float, Field(gt=0, le=1)]
    at_least: Annotated[float, Field(ge=0, le=1)] | None = None
    images: Annotated[int, Field(ge=1)]


class Manifest(_Frozen):
    """Everything the service knows about a version without opening its graph.

    name: the model's name; the folder's name wins where they differ, so that a folder may be copied.
    schema_version: as `written` chose it.
    input, output: names in the graph: N x H x W x C images of the pixels' dtype, float32 N x classes logits.
    classes: labels in the order of the logits.
    stem: what a service runs that is not told otherwise: the whole folded net, or the variant "native".
    certainty: from which probability on an answer is certain; None where nobody measured it (schema 3).
    metrics: measured figures, with the data that they were measured on. files: SHA-256 of every other file of the
    version.
    """

    schema_version: int = OLDEST_SCHEMA
    name: str
    architecture: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    parameters: Annotated[int, Field(ge=0)]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    pixels: PixelSpec
    input: str = "images"
    output: str = "logits"
    max_batch: Annotated[int, Field(ge=1)] = 1024
    opset: int
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    stem: StemMode = "folded"
    parity: ParityReport
    certainty: Certainty | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    license: str | None = None
    notice: str | None = None
    created: str
    libraries: dict[str, str] = Field(default_factory=dict)
    files: dict[_FileName, _Sha256]

    @model_validator(mode="after")
    def _complete(self) -> "Manifest":
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names) or "default" not in names:
            raise ValueError(f"variants must be distinct and contain 'default', not {names}")
        if next(variant for variant in self.variants if variant.name == "default").stem is not None:
            raise ValueError("the default variant is the whole net and has no stem")
        if self.stem == "native" and NATIVE not in names:
            raise ValueError("it asks for a native stem and has no variant 'native'")
        if next(variant for variant in self.variants if variant.name == "default").precision != "fp32":
            raise ValueError("the default variant is fp32")
        unlisted = {file for variant in self.variants for file in variant.files} - self.files.keys()
        if unlisted:
            raise ValueError(f"variants name files without a checksum: {sorted(unlisted)}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must be distinct")
        return self

    def written(self) -> str:
        """The manifest as text, of the oldest schema that can say all of it: older builds read what they know."""
        newer = any(variant.plan or variant.measured for variant in self.variants)
        schema = 3 if self.certainty else 2 if newer else OLDEST_SCHEMA
        return self.model_copy(update={"schema_version": schema}).model_dump_json(indent=2, exclude_none=True)

    @property
    def certain_from(self) -> float | None:
        """The probability from which on the likeliest class is certain; None where nobody measured it."""
        return self.certainty.probability if self.certainty else None

    def variant(self, name: str = "default") -> Variant:
        """The variant of that name; ManifestError if there is none."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise ManifestError(
            f"{self.name} has no variant {name!r}; it has {[variant.name for variant in self.variants]}."
        )


def read_manifest(version_dir: Path) -> Manifest:
    """Read and validate a version's manifest, without looking at its other files."""
    path = version_dir / MANIFEST
    try:
        written = path.read_bytes()
        _must_be_readable(path, written)
        manifest = Manifest.model_validate_json(written)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}). Export the version again.") from error
    except ValidationError as error:
        raise ManifestError(f"{path}: {sentence(error)}. Export the version again.") from error
    return manifest


def _must_be_readable(path: Path, written: bytes) -> None:
    """ManifestError for another schema, asked first: what else a newer manifest says is no damage."""
    schema = schema_of(written, OLDEST_SCHEMA)
    if not OLDEST_SCHEMA <= schema <= SCHEMA:
        advice = "A newer version of this package wrote it: update this one, or export" if schema > SCHEMA else "Export"
        raise ManifestError(
            f"{path}: schema {schema}; this build reads {OLDEST_SCHEMA} to {SCHEMA}. {advice} the version again."
        )


def check_files(version_dir: Path, manifest: Manifest) -> None:
    """Compare every file of the version with its SHA-256 in the manifest."""
    for name, expected in manifest.files.items():
        path = version_dir / name
        try:
            found = sha256(path)
        except OSError as error:
            raise ManifestError(f"{path}: listed in the manifest but cannot be read ({error.strerror}).") from error
        if found != expected:
            raise ManifestError(
                f"{path}: its SHA-256 is {found[:12]}..., the manifest says {expected[:12]}...; the file was changed."
            )


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
