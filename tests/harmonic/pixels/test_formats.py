import pytest
from PIL import Image

from harmonic.errors import PixelError
from harmonic.pixels import FORMATS, READ, SUFFIXES, decoded, recognised
from tests.support.images import encoded, noise

Image.init()


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_a_formats_line_says_what_pillow_says_of_it(kind):
    content = encoded(noise(), kind.name)
    assert recognised(content) == kind
    decoded(content)  # what Pillow knows of HEIC, it knows once one was read
    assert kind.name in Image.OPEN
    assert {Image.EXTENSION[suffix] for suffix in kind.suffixes} == {kind.name}


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_an_encoded_image_comes_back_whole(kind):
    image = noise(9)
    found = decoded(encoded(image, kind.name)).whole()
    assert found.mode == "RGB"
    assert found.size == image.size
    if kind.name in {"PNG", "BMP", "TIFF"}:
        assert found.tobytes() == image.tobytes()


def test_no_suffix_belongs_to_two_formats():
    assert sum(len(kind.suffixes) for kind in READ) == len(SUFFIXES)


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA"])
def test_no_decoder_beside_the_list_is_tried(kind):
    with pytest.raises(PixelError, match="no JPEG"):
        decoded(encoded(noise(), kind))


@pytest.mark.parametrize("kind", FORMATS)
def test_half_an_image_is_an_image_or_an_error_of_this_package(kind):
    content = encoded(noise(40), kind)
    try:
        assert decoded(content[: len(content) // 2]).whole().size == (40, 40)
    except PixelError as error:
        assert str(error)
