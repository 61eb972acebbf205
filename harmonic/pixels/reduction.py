"""Large JPEGs are decoded at a half, a quarter or an eighth of their sides, where their model's PixelSpec says so.

Knows Pillow; the same for training, evaluation and serving. libjpeg leaves out the finest frequencies of every block of
8 x 8 pixels, which the resize that follows would take away.
"""

from PIL import Image, JpegImagePlugin

from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Reduction, Upright

_STEPS = (8, 4, 2)
_MARGIN = 2.0  # sides that a reduced image has at least, in those that it is scaled to; benchmarks/jpeg_scale.py


def reduce(image: Image.Image, spec: PixelSpec, box: tuple[float, float] | None = None) -> Reduction | None:
    """Have an image that is open and not decoded yet decoded at the scale that its model wants.

    box: width and height of the upright part that becomes the model's input; None where that is what `prepare` takes.
    Only JPEGs change; None for all else, and for a JPEG that is not much larger than what the model sees.
    """
    if spec.jpeg_scale == "full" or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    size, stored = Upright(image).size, image.size
    step = largest_step(_excess(size, spec) if box is None else min(box[0] / spec.width, box[1] / spec.height))
    if step == 1:
        return None
    # Pillow takes the largest scale at which the image still has the size that is asked for.
    image.draft(None, (image.width // step, image.height // step))
    return Reduction(stored, step)


def largest_step(excess: float) -> int:
    """By how much the sides may be divided, of an image whose sides are `excess` times those that it is scaled to."""
    return next((step for step in _STEPS if excess / step >= _MARGIN), 1)


def _excess(size: tuple[int, int], spec: PixelSpec) -> float:
    """Sides of an upright image in those of the first picture that is made of it."""
    if spec.hair is not None:
        # The hairless picture is made first, and hairs are looked for in it.
        return max(size) / spec.hair.working_side
    width, height = spec.scaled(size)
    return min(size[0] / width, size[1] / height)
