import pytest
import torch

from harmonic.bfloat16 import cpu_has_units, gpu_has_units, has_units

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("instructions", "wanted"),
    [
        ({}, False),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_a_processors_instructions_decide(monkeypatch, instructions, wanted):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert cpu_has_units() is wanted
    assert has_units(CPU) is wanted


@pytest.mark.parametrize(("capability", "wanted"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpus_generation_decides(monkeypatch, capability, wanted):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert gpu_has_units(capability) is wanted
    assert has_units(torch.device("cuda")) is wanted


def test_other_devices_have_none():
    assert not has_units(torch.device("meta"))
