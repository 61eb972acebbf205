"""TensorFlow's "same" padding as a layer of its own, for networks whose weights came from there."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class SamePadding2d(nn.Module):
    """Pad an image with zeros so that a strided convolution gives ceil(size / stride) outputs; the odd one goes below
    and right.

    kernel_size, stride, dilation: the convolution's, (rows, columns). Input and output (N, C, H, W).
    """

    def __init__(self, kernel_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
        rows, columns = (self._missing(axis, int(x.shape[axis - 2])) for axis in (0, 1))
        return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))

    def _missing(self, axis: int, size: int) -> int:
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        outputs = -(-size // self.stride[axis])
        return max((outputs - 1) * self.stride[axis] + reach - size, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, dilation={self.dilation}"
