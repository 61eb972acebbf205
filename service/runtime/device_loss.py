"""Which errors of a model call mean that the device computes nothing more for this process.

CUDA calls them sticky: once one has happened, every later call of the process gives an error, whatever it asks, and
only a new process helps. Being out of memory is not one of them. Numbers and words are those of CUDA's `cudaError_t`;
ONNX Runtime reports "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ...", PyTorch
"CUDA error: an illegal memory access was encountered".
"""

import re

_STICKY = {
    "214": "uncorrectable ECC error encountered",
    "220": "uncorrectable NVLink error detected during the execution",
    "700": "an illegal memory access was encountered",
    "702": "the launch timed out and was terminated",
    "709": "context is destroyed",
    "710": "device-side assert triggered",
    "714": "hardware stack error",
    "715": "an illegal instruction was encountered",
    "716": "misaligned address",
    "717": "operation not supported on global/shared address space",
    "718": "invalid program counter",
    "719": "unspecified launch failure",
    "999": "unknown error",
}
_NUMBERED = re.compile(r"\bCUDA (?:failure|error) (\d+)\b")
_WORDED = re.compile(r"\bCUDA error: (?:" + "|".join(map(re.escape, _STICKY.values())) + ")")


def is_device_lost(error: BaseException) -> bool:
    """True if no call of this process will be answered by the device again."""
    text = str(error)
    return any(number in _STICKY for number in _NUMBERED.findall(text)) or bool(_WORDED.search(text))
