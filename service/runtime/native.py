"""A first layer in PyTorch, the rest on ONNX Runtime, with no copy between them.

The only file of the service, with adaptive_norm.py, that knows torch; imported only for a version whose native
stem was chosen. On CUDA both work on one stream, so neither waits for the other; the tensor between them is handed over
by DLPack.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from export.manifest import FEATURES, Manifest, Stem, Variant
from export.runtime import ort
from service.runtime.adaptive_norm import AdaptiveNorm, FrozenNorm
from service.runtime.backend import SessionError
from service.runtime.placement import Placement
from service.runtime.providers import Profile
from service.runtime.session import Session, allocator, check_ends, open_graph

_TENSORS = {"scale", "shift", "bank", "mean", "var", "weight"}


def shared(tensor: Tensor) -> ort.OrtValue:
    """The same memory for ONNX Runtime. Both sides are on one stream, so nothing has to wait (-1)."""
    capsule = tensor.__dlpack__(stream=-1) if tensor.is_cuda else tensor.__dlpack__()
    return ort.OrtValue.from_dlpack(capsule)


class NativeStem:
    """Pixels to features: normalise, filter every channel with the whole bank, normalise the bands, weigh them.

    window: images that the norm follows; 0 keeps the statistics of training.
    """

    def __init__(self, path: Path, stem: Stem, device: torch.device, window: int) -> None:
        tensors = {name: tensor.to(device) for name, tensor in _tensors(path).items()}
        self._stem = stem
        self._scale, self._shift = (tensors[name].view(1, -1, 1, 1) for name in ("scale", "shift"))
        self._channels = len(tensors["scale"])
        self._bank = tensors["bank"].repeat(self._channels, 1, 1, 1)
        self._weight, self._bias = tensors["weight"], tensors.get("bias")
        mean, var = tensors["mean"], tensors["var"]
        self.norm = AdaptiveNorm(mean, var, stem.eps, window) if window else FrozenNorm(mean, var, stem.eps)
        rows, columns = self._bank.shape[2:]
        self._border = _border(rows, columns, stem)

    def __call__(self, images: Tensor) -> Tensor:
        """images: (n, rows, columns, channels). Returns float32, (n, *stem.output), contiguous."""
        x = (images.permute(0, 3, 1, 2).float() * self._scale + self._shift).contiguous()
        if self._border is not None:
            x = F.pad(x, self._border, mode=self._stem.padding_mode)
        stem = self._stem
        padding = stem.padding if self._border is None else 0
        bands = F.conv2d(x, self._bank, None, stem.stride, padding, stem.dilation, groups=self._channels)
        return F.conv2d(self.norm(bands), self._weight, self._bias, groups=stem.groups).contiguous()


class NativeSession(Session):
    """A stem and its body as one session. Calls from several threads wait for each other."""

    def __init__(
        self, folder: Path, manifest: Manifest, variant: Variant, placement: Placement, largest: int, window: int = 0
    ) -> None:
        """Open both halves. largest: images in one call.

        Raises SessionError, or StartError where CUDA is not in force.
        """
        if variant.stem is None:
            raise SessionError(f"{folder}: variant {variant.name} has no stem. Export the version again.")
        if not hasattr(ort.OrtValue, "from_dlpack"):
            raise SessionError(f"ONNX Runtime {ort.__version__} takes no tensors by DLPack. Install 1.26 or newer.")
        on_cuda = not placement.first.on_cpu
        self._device = torch.device("cuda", placement.first.number) if on_cuda else torch.device("cpu")
        self._stream = torch.cuda.Stream(self._device) if on_cuda else None  # type: ignore[no-untyped-call]
        _settle_arithmetic(placement)
        with self._on_stream():  # on the stream that uses them, or a call could come before its constants
            self._stem = NativeStem(folder / variant.stem.file, variant.stem, self._device, window)
        path, address = folder / variant.file, self._stream.cuda_stream if self._stream else None
        profile = Profile(FEATURES, variant.stem.output, largest)
        self._session = open_graph(path, placement, address, profile)
        self.provider = self._session.get_providers()[0]
        check_ends(self._session, path, (FEATURES, "tensor(float)", variant.stem.output), manifest.output)
        self._pixels, self._allocate = manifest.pixels, allocator(placement)
        self._output, self._classes = manifest.output, len(manifest.classes)
        self._shape = variant.stem.output
        self._binding = self._session.io_binding()
        self._options = ort.RunOptions()
        self._one_at_a_time = threading.Lock()  # the binding holds one call's tensors
        if on_cuda:  # the copy of the logits waits for the stream; the call itself need not
            self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def _answer(self, images: NDArray[Any]) -> NDArray[np.float32]:
        with self._one_at_a_time, torch.inference_mode(), self._on_stream():
            # PyTorch wraps neither read-only memory nor rows that run backwards: of those it takes a copy.
            pixels = np.require(images, requirements=["C", "W"])
            features = self._stem(torch.from_numpy(pixels).to(self._device, non_blocking=True))
            if features.shape[1:] != self._shape:
                raise SessionError(f"the stem gives {tuple(features.shape[1:])}; its manifest says {self._shape}")
            logits = torch.empty((len(images), self._classes), device=self._device)
            self._binding.bind_ortvalue_input(FEATURES, shared(features))
            self._binding.bind_ortvalue_output(self._output, shared(logits))
            self._session.run_with_iobinding(self._binding, self._options)
            return np.asarray(logits.cpu().numpy(), dtype=np.float32)

    def follow_traffic(self) -> None:
        self._stem.norm.follow_traffic()

    def reset(self) -> None:
        self._stem.norm.reset()

    def _on_stream(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()


def _settle_arithmetic(placement: Placement) -> None:
    """Threads and precision as ONNX Runtime has them. PyTorch keeps both for the whole process."""
    torch.set_num_threads(placement.threads)
    torch.backends.cudnn.allow_tf32 = placement.gpu.tf32
    torch.backends.cuda.matmul.allow_tf32 = placement.gpu.tf32


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises a class of its own for each kind of damage
        raise SessionError(f"{path}: no readable stem ({error}). Export the version again.") from error
    if missing := _TENSORS - tensors.keys():
        raise SessionError(f"{path}: has no {sorted(missing)}. Export the version again.")
    return tensors


def _border(rows: int, columns: int, stem: Stem) -> list[int] | None:
    """Columns and rows to add on each side, left, right, top, bottom; None where the convolution pads by itself."""
    if stem.padding_mode == "zeros":
        return None
    if stem.padding == "valid":
        return [0, 0, 0, 0]
    if stem.padding == "same":
        spans = [stem.dilation[1] * (columns - 1), stem.dilation[0] * (rows - 1)]
        return [side for span in spans for side in (span // 2, span - span // 2)]
    down, right = stem.padding
    return [right, right, down, down]
