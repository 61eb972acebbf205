"""The graphs and images of the benchmarks: made here, the same everywhere, with weights that mean nothing.

A tiny network, where the way to the model is the cost, and a ResNet-50 on photographs, where the model is. Each is a
repository of one version, exported once into build/benchmarks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.load import Picture, make_pictures

ROOT = Path(__file__).resolve().parents[1] / "build" / "benchmarks"


@dataclass(frozen=True)
class Workload:
    """callers: of the closed loads. crop: short side before the crop, by the model's own."""

    name: str
    what: str
    architecture: str
    size: int
    crop: float
    images: str
    callers: tuple[int, ...]
    seconds: float  # of each load
    batch: int  # of the bound

    @property
    def version(self) -> Path:
        """Where its version is."""
        return ROOT / self.name / self.name / "1"

    def pictures(self) -> list[Picture]:
        """What is sent."""
        return make_pictures(self.images, 0)


TINY = Workload("tiny", "harmonic WRN-10-1, PNG 32x32", "harm_wrn10_1", 32, 1.0, "32x32.png", (1, 8, 32, 128), 3.0, 16)
PHOTOGRAPH = Workload(
    "photograph", "harmonic ResNet-50, JPEG 500x335", "harm_resnet50", 224, 0.875, "500x335.jpg", (1, 8, 32), 5.0, 4
)
WORKLOADS = {workload.name: workload for workload in (TINY, PHOTOGRAPH)}


def prepare(workload: Workload, tell: Callable[[str], None]) -> Path:
    """The folder of its version, exported where it is not there yet."""
    if not (workload.version / "manifest.json").exists():
        tell(f"exporting {workload.what} into {workload.version} (once)")
        _export(workload)
    return workload.version


def _export(workload: Workload) -> None:
    import torch

    from export.pipeline import Order, export
    from harmonic import zoo
    from harmonic.bundles import Bundle, Card
    from harmonic.pixels import PixelSpec

    torch.manual_seed(0)
    classes = tuple(f"class {number}" for number in range(10))
    pixels = PixelSpec(height=workload.size, width=workload.size, crop_fraction=workload.crop)
    network = zoo.create(workload.architecture, len(classes))
    _settle(network, workload.size)
    card = Card(architecture=workload.architecture, classes=classes, pixels=pixels)
    export(Order(Bundle(card, network.eval()), ROOT / workload.name, workload.name, version=1))


def _settle(network: object, size: int) -> None:
    """Running norms see some noise, or the answers of a deep fresh network are not finite."""
    import torch

    assert isinstance(network, torch.nn.Module)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(4, 3, size, size))
