"""Where sessions run, with how many threads and which options of the devices."""

from dataclasses import dataclass, replace

from service.runtime.device import Device
from service.runtime.providers import GpuOptions, wanted

_NO_OPTIONS = GpuOptions()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where sessions run: on each of these devices. threads: of one call on the CPU."""

    devices: tuple[Device, ...]
    threads: int
    gpu: GpuOptions = _NO_OPTIONS

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of the provider that must be in force."""
        return wanted(self.first, self.gpu)

    @property
    def first(self) -> Device:
        """The first of the devices; where one session runs, the only one."""
        return self.devices[0]

    def __str__(self) -> str:
        return ",".join(map(str, self.devices))

    def each(self) -> list["Placement"]:
        """One placement for every device."""
        return [replace(self, devices=(device,)) for device in self.devices]
