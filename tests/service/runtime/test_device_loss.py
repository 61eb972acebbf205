"""Errors after which a device answers no call of this process, in the words of those who report them."""

import pytest

from service.runtime.device_loss import is_device_lost

RUNTIME = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Status Message: "
PLACE = " ; GPU=0 ; hostname=a ; file=cuda_call.cc ; line=121 ; expr=cudaStreamSynchronize(stream); "


@pytest.mark.parametrize(
    "text",
    [
        RUNTIME + "CUDA failure 700: an illegal memory access was encountered" + PLACE,
        RUNTIME + "CUDA failure 719: unspecified launch failure" + PLACE,
        RUNTIME + "CUDA failure 214: uncorrectable ECC error encountered" + PLACE,
        RUNTIME + "CUDA failure 999: unknown error" + PLACE,
        "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported asynchronously",
        "CUDA error: an illegal memory access was encountered",
    ],
)
def test_a_lost_device_is_known(text):
    assert is_device_lost(RuntimeError(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        RUNTIME + "CUDA failure 2: out of memory" + PLACE,
        RUNTIME + "Failed to allocate memory for requested buffer of size 700",
        RUNTIME + "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED" + PLACE,
        "CUDA error: out of memory",
        "CUDA out of memory. Tried to allocate 719.00 MiB",
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : indices element out of data bounds, idx=700",
        "unknown error",
    ],
)
def test_what_a_device_survives_is_no_loss(text):
    assert not is_device_lost(RuntimeError(text))
