"""What a bundle answers to images as people have them. The end-to-end tests hold it to what is served."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import harmonic
from harmonic import zoo
from harmonic.bundles.bundle import Bundle, Card, save
from harmonic.errors import PixelError
from harmonic.pixels import FORMATS, PixelSpec, prepare, upright_rgb
from tests.support.images import encoded, noise
from tests.support.laws import randomised

CLASSES = ("red", "green", "blue")
PIXELS = PixelSpec(height=12, width=12, crop_fraction=0.875)


class Colours(torch.nn.Module):
    """Answers the mean of each channel."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


class Corner(torch.nn.Module):
    """Answers the pixel at the top left."""

    def forward(self, x):
        return x[:, :, 0, 0]


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    card = Card(architecture="harm_lesion", arguments={"width": 4}, classes=CLASSES, pixels=PIXELS)
    return Bundle(card, randomised(zoo.create("harm_lesion", 3, width=4)).eval())


@pytest.fixture
def colours():
    spec = PixelSpec(height=4, width=4, mean=(0, 0, 0), std=(1, 1, 1))
    return Bundle(Card(architecture="none", classes=CLASSES, pixels=spec), Colours())


def test_every_way_to_give_an_image_has_one_answer(made, tmp_path):
    image = noise(20)
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(image))
    given = [path, str(path), path.read_bytes(), image, Image.open(path), np.asarray(image)]
    answers = [made.predict(one) for one in given]
    assert len(set(answers)) == 1
    for together, alone in zip(made.predict(given), answers, strict=True):
        assert together.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_the_answer_is_the_softmax_of_what_the_network_says_of_the_prepared_image(made):
    image = noise(31)
    pixels = torch.from_numpy(prepare(image, PIXELS).copy()).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(figures).view(1, 3, 1, 1) for figures in (PIXELS.mean, PIXELS.std))
    with torch.inference_mode():
        wanted = made.model((pixels - mean) / std).softmax(dim=1)[0]
    found = made.predict(image)
    assert found.classes == CLASSES
    assert found.probabilities == pytest.approx(wanted.tolist(), abs=1e-5)
    assert sum(found.probabilities) == pytest.approx(1)


def test_the_likeliest_classes_come_first_with_their_names(colours):
    found = colours.predict(Image.new("RGB", (9, 7), (10, 255, 100)))
    assert found.label == "green"
    assert found.probability == max(found.probabilities)
    assert [name for name, _ in found.top()] == ["green", "blue", "red"]
    assert found.top(1) == [("green", found.probability)]


def test_equal_classes_keep_the_order_of_the_network(colours):
    assert [name for name, _ in colours.predict(Image.new("RGB", (4, 4), "grey")).top(2)] == ["red", "green"]


@pytest.mark.parametrize("count", [0, 1, 70])
def test_several_images_have_a_list_of_answers_in_their_order(colours, count):
    shades = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue", "lime")] * 24
    found = colours.predict(iter(shades[:count]))
    assert [answer.label for answer in found] == (["red", "blue", "green"] * 24)[:count]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_and_turned_as_its_exif_says(colours, kind):
    image = Image.new("RGB", (16, 16), "red")
    image.paste("blue", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right: the blue corner comes to the right
    turns = kind not in {"BMP", "GIF"}
    # HEIC's encoder writes the turn where it belongs, into the container, if it is given as bytes.
    said = exif.tobytes() if kind == "HEIF" else exif
    content = encoded(image, kind, **({"exif": said} if turns else {}))
    corner = Bundle(colours.card, Corner())
    assert corner.predict(content).label == ("red" if turns else "blue")
    assert corner.predict(Image.open(io.BytesIO(content))) == corner.predict(content)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_pixel_is_taken(colours, mode):
    image = Image.fromarray(np.full((6, 6), 40_000, np.uint16)) if mode == "I;16" else noise(6).convert(mode)
    assert colours.predict(image) == colours.predict(upright_rgb(image))


def test_a_network_in_training_answers_in_evaluation_mode(made):
    before = made.predict(noise(12))
    made.model.train()
    assert made.predict(noise(12)) == before
    assert not made.model.training


def test_the_top_level_loads_a_bundle_by_its_path(made, tmp_path):
    save(made, tmp_path / "saved")
    assert harmonic.load(str(tmp_path / "saved")).predict(noise()) == made.predict(noise())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere/cat.jpg", "nowhere/cat.jpg: cannot be read .No such file"),
        (b"", "image 1: no JPEG.*it is empty"),
        (b"no picture", "image 1: no JPEG.*begin with b'no picture'"),
        (encoded(noise(64))[:300], "image 1: damaged or cut short"),
        (encoded(noise(64), "BMP")[:300], "image 1: damaged or cut short"),
        (np.zeros((4, 4), np.float32), "floating-point pixels of unknown range"),
        (np.zeros((4, 4, 3), np.float32), r"an array \(4, 4, 3\) of float32 is no image"),
        (np.zeros((2, 4, 4, 3), np.uint8), "Several images are given as a list"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        ([3], "image 1: wanted a path"),
    ],
)
def test_what_is_no_image_is_an_error_that_names_it(colours, given, said):
    with pytest.raises(PixelError, match=said):
        colours.predict(given)


def test_of_several_images_the_broken_one_is_named(colours):
    with pytest.raises(PixelError, match="image 34: no JPEG"):
        colours.predict([noise()] * 33 + [b"broken", noise()])


def test_an_image_too_small_for_the_model_is_refused():
    spec = PixelSpec(height=28, width=28, fit="spectral", smallest=8)
    small = Bundle(Card(architecture="none", classes=CLASSES, pixels=spec), Colours())
    with pytest.raises(PixelError, match="image 1: the image is 7 pixels"):
        small.predict(noise(7))
