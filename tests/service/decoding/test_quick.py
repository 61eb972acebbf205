"""What is decoded where it runs: small images of plain formats, with the answers that any other image gets."""

import io

import numpy as np
import pytest
from PIL import Image

from harmonic.pixels import HairRemoval, PixelSpec, prepare
from service.config import Limits
from service.decoding.quick import Quick, is_quick
from service.errors import DecodeError, ServiceError
from tests.support.images import encoded, noise, plain, smooth

SPEC = PixelSpec(height=8, width=8)
KIND = (SPEC.shape, SPEC.dtype)


class Counted:
    """A loan that says how many hold it."""

    def __init__(self) -> None:
        self.holders = 0

    def hold(self) -> None:
        self.holders += 1

    def drop(self) -> None:
        self.holders -= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_small_image_of_a_plain_format_is_quick_and_prepared_as_ever(kind):
    data = encoded(noise(30), kind)
    assert is_quick([data], SPEC)
    rows = np.zeros((1, *SPEC.shape), np.uint8)
    Quick([data], SPEC, KIND, Limits(), None).make(rows)
    np.testing.assert_array_equal(rows[0], prepare(Image.open(io.BytesIO(data)).convert("RGB"), SPEC))


def test_a_small_jpeg_is_decoded_at_the_scale_that_its_model_wants():
    data, spec = encoded(smooth(128, 120), "JPEG"), SPEC.decoding("reduced")
    assert is_quick([data], spec)
    rows = np.zeros((1, *SPEC.shape), np.uint8)
    Quick([data], spec, (spec.shape, spec.dtype), Limits(), None).make(rows)
    np.testing.assert_array_equal(rows[0], prepare(data, spec))
    assert not np.array_equal(rows[0], prepare(data, SPEC))


@pytest.mark.parametrize(
    "data",
    [
        plain(size=(129, 128)),
        plain(size=(3000, 3000)),
        encoded(noise(110)),
        encoded(noise(30), "JPEG", progressive=True),
        encoded(noise(30), "WEBP", lossless=True),
        encoded(noise(30), "BMP"),
        encoded(noise(30), "GIF"),
        encoded(noise(30), "TIFF"),
        plain(kind="PNG")[:20],
        plain(kind="JPEG")[:30],
        plain(kind="WEBP")[:27],
        b"\xff\xd8\xff" + b"\xff" * 100,
        b"no image",
        b"",
    ],
)
def test_what_is_large_or_does_not_say_its_size_plainly_is_not_quick(data):
    assert not is_quick([data], SPEC)


def test_many_images_of_one_request_are_not_quick_together():
    image = plain(size=(128, 128))
    assert is_quick([image] * 4, SPEC) and not is_quick([image] * 5, SPEC)


def test_models_that_take_much_of_an_image_are_not_quick():
    for spec in (
        PixelSpec(height=129, width=128),
        PixelSpec(height=8, width=8, hair=HairRemoval()),
        PixelSpec(height=32, width=32, fit="spectral"),
    ):
        assert not is_quick([plain()], spec)


def test_an_image_at_fault_is_named_and_the_loan_is_given_back_once():
    loan = Counted()
    quick = Quick([plain(), plain()[:-30]], SPEC, KIND, Limits(), loan)
    assert (len(quick), loan.holders) == (2, 1)
    with pytest.raises(DecodeError, match="image 2 of 2: "):
        quick.make(np.zeros((2, *SPEC.shape), np.uint8))
    quick.forget()
    assert loan.holders == 0


def test_a_header_that_lies_is_an_error_of_the_image():
    small, large = plain(size=(8, 8)), encoded(noise(1200))
    liar = small[:33] + large[8:]  # a second header follows, of an image that takes much memory
    assert is_quick([liar], SPEC) or len(liar) > 32 * 1024
    with pytest.raises(ServiceError):
        Quick([liar], SPEC, KIND, Limits(), None).make(np.zeros((1, *SPEC.shape), np.uint8))
