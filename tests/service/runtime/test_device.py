"""What the setting `device` may say, and what is made of it."""

import re

import pytest

from service.config import read_settings
from service.errors import StartError
from service.runtime.device import CPU, DEVICES, Device, Devices, read_devices


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("cpu", Devices((CPU,))),
        ("cuda", Devices((Device("cuda", 0),))),
        ("cuda:7", Devices((Device("cuda", 7),))),
        ("cuda:0,cuda:12", Devices((Device("cuda", 0), Device("cuda", 12)))),
        ("auto", Devices((Device("cuda", 0),), auto=True)),
    ],
)
def test_every_form_is_read(text, devices):
    assert read_devices(text) == devices
    assert read_settings({"device": text}).devices() == devices


@pytest.mark.parametrize(
    ("text", "shown"), [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0,cuda:2", "cuda:0,cuda:2"), ("auto", "auto")]
)
def test_devices_are_shown_as_one_would_write_them(text, shown):
    assert str(read_devices(text)) == shown
    assert re.fullmatch(DEVICES, shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tpu",
        "CPU",
        "cuda:0,",
        "cuda,cuda:1",
        "cpu,cuda:0",
        "auto,cuda:0",
        "cuda:0 cuda:1",
        ",",
        "cuda:-1",
        "cuda:1000",
        ",".join(["cuda:0"] * 17),
        "cpu\n",
    ],
)
def test_what_is_no_device_is_refused(text):
    with pytest.raises(StartError, match="device"):
        read_devices(text)
    with pytest.raises(StartError, match="device"):
        read_settings({"device": text})
