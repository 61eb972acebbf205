"""Whether a device has units for bfloat16: with them networks learn about twice as fast."""

import torch

_AMPERE = (8, 0)  # NVIDIA's first generation with them; PyTorch emulates them on older ones, slowly


def has_units(device: torch.device) -> bool:
    """Whether this device does."""
    if device.type == "cuda":
        return gpu_has_units(torch.cuda.get_device_capability(device))
    return device.type == "cpu" and cpu_has_units()


def cpu_has_units() -> bool:
    """Whether this machine's processor does."""
    instructions = torch.cpu.get_capabilities()
    return bool(instructions.get("amx_bf16", False) or instructions.get("avx512_bf16", False))


def gpu_has_units(capability: tuple[int, int]) -> bool:
    """Whether a GPU of this compute capability does."""
    return capability >= _AMPERE
