"""Each thing that CUDA needs and that is not there has a sentence of its own."""

import ctypes
import re

import pytest

from service.runtime.device import read_devices
from service.runtime.diagnosis import Runtime, lacking, why_no_cuda


class Driver:
    """A driver that starts as told and knows so many devices."""

    def __init__(self, status: int = 0, devices: int = 1) -> None:
        self._status, self._devices = status, devices

    def cuInit(self, flags: int) -> int:
        return self._status

    def cuDeviceGetCount(self, count: object) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self._devices
        return 0


def loader(driver: Driver | None, *absent: str):
    def load(name: str) -> object:
        if name in absent or (driver is None and name.startswith("libcuda.so")):
            raise OSError(name)
        return driver

    return load


def why(device: str = "cuda:0", cuda: str | None = "13", load=None) -> str:
    return why_no_cuda(read_devices(device).each, Runtime("1.99", cuda), load)


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (why(cuda=None), r"1\.99 has no CUDA in it.*harmonic-inference\[gpu\]"),
        (why(load=loader(None)), "no NVIDIA driver"),
        (why(load=loader(Driver(status=100))), "cuInit says 100"),
        (why("cuda:3", load=loader(Driver(devices=2))), "knows 2 devices"),
        (why("cuda:0,cuda:2", load=loader(Driver(devices=2))), "knows 2 devices"),
        (why(load=loader(Driver(), "libcudnn.so.9")), r"libcudnn\.so\.9 cannot be loaded"),
        (why(load=loader(Driver(), "libcudart.so.13", "libcublasLt.so.13")), "libcudart.*libcublasLt"),
        (why(load=loader(Driver())), "too old for the libraries"),
    ],
)
def test_what_is_missing_is_named(reason, says):
    assert re.search(says, reason)
    assert "--device cpu" in reason


def test_the_question_can_be_put_to_this_machine():
    assert why_no_cuda(read_devices("cuda:0").each, Runtime("1.99", "13")).startswith("cuda:0 was asked for, but ")


def test_nothing_is_lacking_where_driver_device_and_libraries_answer():
    assert lacking(read_devices("cuda:1").each, Runtime("1.99", "13"), loader(Driver(devices=2))) is None
