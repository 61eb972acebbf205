import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from harmonic.pixels import HairRemoval, PixelSpec, decoded, prepare
from harmonic.training.augment import augment, generator, random_resized_crop
from harmonic.training.recipe import AugmentSection
from tests.support.images import encoded, oriented, smooth

CROP_8, CROP_25 = AugmentSection(random_resized_crop=0.08), AugmentSection(random_resized_crop=0.25)


def pixels(height=12, width=10, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def draws(section, count=300, image=None):
    image = pixels() if image is None else image
    return [augment(image, section, generator(1, 2, index)) for index in range(count)]


def test_the_same_seed_epoch_and_index_give_the_same_view():
    section = AugmentSection(pad_crop=3, flip=True, cutout=4)
    first, second = (augment(pixels(), section, generator(1, 2, 3)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("key", [(2, 2, 3), (1, 3, 3), (1, 2, 4)])
def test_another_seed_epoch_or_index_gives_another_view(key):
    section = AugmentSection(pad_crop=6)
    assert generator(1, 2, 3).integers(1 << 60) != generator(*key).integers(1 << 60)
    assert len({view.tobytes() for view in draws(section)}) > 100


def test_nothing_asked_nothing_done():
    assert np.array_equal(augment(pixels(), AugmentSection(), generator(1, 1, 1)), pixels())


def test_half_of_the_images_are_mirrored():
    views = draws(AugmentSection(flip=True), 400)
    mirrored = sum(np.array_equal(view, pixels()[:, ::-1]) for view in views)
    assert mirrored + sum(np.array_equal(view, pixels()) for view in views) == 400
    assert 160 < mirrored < 240


@pytest.mark.parametrize("mirrored", [False, True])
def test_whether_an_image_is_mirrored_may_be_decided_elsewhere(mirrored):
    wanted = pixels()[:, ::-1] if mirrored else pixels()
    for index in range(20):
        seen = augment(pixels(), AugmentSection(flip="alternating"), generator(1, 2, index), mirrored)
        assert np.array_equal(seen, wanted)


def test_a_padded_crop_is_a_window_of_the_mirrored_image():
    wide = np.pad(pixels(), ((2, 2), (2, 2), (0, 0)), mode="reflect")
    windows = {wide[top : top + 12, left : left + 10].tobytes() for top in range(5) for left in range(5)}
    assert {view.tobytes() for view in draws(AugmentSection(pad_crop=2), 1000)} == windows


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (1, 9, 1), (28, 28, 1)])
def test_images_smaller_than_the_border_are_cropped_too(shape):
    views = draws(AugmentSection(pad_crop=8, flip=True, cutout=5), 20, pixels(*shape))
    assert all(view.shape == shape and view.dtype == np.uint8 for view in views)


@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_cutout_greys_a_square_of_its_side(side):
    white = np.full((40, 40, 3), 255, np.uint8)
    sizes = {int((view[:, :, 0] == 128).sum()) for view in draws(AugmentSection(cutout=side), image=white)}
    assert max(sizes) == side * side
    assert all(set(np.unique(view)) <= {128, 255} for view in draws(AugmentSection(cutout=side), 20, white))


def test_cutout_leaves_the_callers_pixels_alone():
    image = pixels()
    draws(AugmentSection(cutout=6), 20, image)
    assert np.array_equal(image, pixels())


def test_views_are_contiguous():
    assert all(view.flags.c_contiguous for view in draws(AugmentSection(flip=True, pad_crop=1), 20))


@pytest.mark.parametrize("size", [(64, 48), (1, 1), (1, 500), (500, 1), (7, 300)])
def test_a_random_crop_has_the_models_shape(size):
    spec = PixelSpec(height=20, width=16)
    views = [random_resized_crop(Image.new("RGB", size, "red"), spec, CROP_8, generator(1, 1, i)) for i in range(20)]
    assert all(view.shape == (20, 16, 3) and (view == (255, 0, 0)).all() for view in views)


def test_random_crops_cover_the_asked_share_of_the_area():
    """On a picture whose colour is its position, a crop's span says what it covered."""
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    image = Image.fromarray(np.stack([x, y, x], axis=-1))
    spec, shares = PixelSpec(height=64, width=64), []
    for index in range(200):
        view = random_resized_crop(image, spec, CROP_25, generator(1, 1, index)).astype(float)
        spans = [np.ptp(view[:, :, channel]) * 64 / 63 for channel in (0, 1)]
        shares.append(spans[0] * spans[1] / 256**2)
    assert min(shares) > 0.2
    assert max(shares) > 0.8


def test_a_grey_spec_gives_grey_crops():
    spec = PixelSpec(height=8, width=8, mode="L", mean=(0.5,), std=(0.5,))
    assert random_resized_crop(Image.new("RGB", (20, 20), "red"), spec, CROP_25, generator(1, 1, 1)).shape == (8, 8, 1)


def test_a_crop_may_be_scaled_in_either_way_by_chance():
    image, spec = Image.fromarray(pixels(40, 40)), PixelSpec(height=8, width=8)
    section = AugmentSection(random_resized_crop=0.999, interpolation="random")
    views = [random_resized_crop(image, spec, section, generator(1, 1, index)) for index in range(300)]
    whole = {
        way: np.asarray(image.resize((8, 8), way)).tobytes()
        for way in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    }
    found = [view.tobytes() for view in views]
    assert all(found.count(view) > 20 for view in whole.values())


def test_rotations_are_torchvisions_at_angles_up_to_the_limit():
    image = Image.fromarray(pixels(20, 20))
    views = draws(AugmentSection(rotation=10), 300, pixels(20, 20))
    angles = [generator(1, 2, index).uniform(-10, 10) for index in range(300)]
    for view, angle in zip(views, angles, strict=True):
        assert np.array_equal(view, np.asarray(F.rotate(image, angle, InterpolationMode.BILINEAR)))
    assert min(angles) < -9
    assert max(angles) > 9


@pytest.mark.parametrize(
    ("image", "adjust"),
    [
        (np.full((4, 4, 3), 100, np.uint8), F.adjust_brightness),  # contrast and saturation leave an even grey alone
        (np.full((4, 4, 1), 100, np.uint8), F.adjust_brightness),
    ],
)
def test_jitter_scales_brightness_between_its_bounds(image, adjust):
    values = {int(view.max()) for view in draws(AugmentSection(color_jitter=0.4), 500, image)}
    bounds = [np.asarray(adjust(Image.fromarray(image.squeeze()), factor)).max() for factor in (0.6, 1.4)]
    assert min(values) >= bounds[0]
    assert max(values) <= bounds[1]
    assert len(values) > 60


def test_jitter_is_the_three_adjustments_of_torchvision_in_some_order():
    adjustments = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
    orders = set()
    for index, view in enumerate(draws(AugmentSection(color_jitter=0.4), 60)):
        rng, picture = generator(1, 2, index), Image.fromarray(pixels())
        order = tuple(rng.permutation(3))
        for change in order:
            picture = adjustments[change](picture, rng.uniform(0.6, 1.4))
        assert np.array_equal(view, np.asarray(picture))
        orders.add(order)
    assert len(orders) == 6


# --- crops are cut from what the model is served ---

ALL = AugmentSection(random_resized_crop=0.999)


def test_crops_are_cut_from_the_hairless_image():
    hairy = np.full((112, 112, 3), (200, 150, 140), dtype=np.uint8)
    hairy[50] = hairy[:, 70] = (40, 30, 30)
    spec = PixelSpec(height=56, width=56, fit="squash", hair=HairRemoval())
    for index in range(10):
        assert random_resized_crop(Image.fromarray(hairy), spec, CROP_25, generator(1, 1, index)).min() > 130


def test_crops_for_a_squashed_input_are_squashed_alike():
    """Cut from twice as wide an image, a box of nearly the whole area is twice as wide."""
    wide = Image.fromarray(np.broadcast_to(np.arange(0, 240, dtype=np.uint8)[:, None], (120, 240, 3)).copy())
    spec = PixelSpec(height=24, width=24, fit="squash")
    spans = [np.ptp(random_resized_crop(wide, spec, ALL, generator(1, 1, index))) for index in range(20)]
    assert min(spans) > 200


def test_crops_for_an_input_that_is_not_square_keep_its_proportions():
    wide = Image.fromarray(pixels(20, 40))
    spec = PixelSpec(height=10, width=20)
    wanted = prepare(wide, spec)
    views = [random_resized_crop(wide, spec, ALL, generator(1, 1, index)) for index in range(100)]
    assert any(np.array_equal(view, wanted) for view in views)


@pytest.mark.parametrize("way", ["bilinear", "bicubic", "lanczos"])
def test_crops_are_scaled_by_the_inputs_own_filter(way):
    image, spec = Image.fromarray(pixels(40, 40)), PixelSpec(height=8, width=8, interpolation=way)
    views = [random_resized_crop(image, spec, ALL, generator(1, 1, index)) for index in range(100)]
    assert sum(np.array_equal(view, prepare(image, spec)) for view in views) > 50


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(97, 97), (20, 64), (64, 20), (40, 200)])
def test_a_crop_of_everything_is_the_image_as_it_is_served(size, interpolation):
    """To the last bit: training and serving resample by one function."""
    spec = PixelSpec(height=32, width=32, fit="squash", interpolation=interpolation)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    whole = AugmentSection(random_resized_crop=1.0)
    served = prepare(image, spec)
    # Where no other box of the full area fits, which is often, it is the whole image.
    views = [random_resized_crop(image, spec, whole, generator(1, 1, index)) for index in range(20)]
    assert any(np.array_equal(view, served) for view in views)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_crop_of_everything_of_a_large_jpeg_is_the_image_as_it_is_served(orientation):
    spec = PixelSpec(height=32, width=32, fit="squash", jpeg_scale="reduced")
    stored = encoded(smooth(640, 160), "JPEG", exif=oriented(orientation))
    whole = AugmentSection(random_resized_crop=1.0)
    served = prepare(stored, spec)
    assert not np.array_equal(served, prepare(stored, spec.decoding("full")))
    views = [random_resized_crop(stored, spec, whole, generator(1, 1, index)) for index in range(20)]
    assert any(np.array_equal(view, served) for view in views)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_crop_shows_the_same_part_of_a_jpeg_at_every_scale(orientation):
    """Small boxes are cut from the whole picture, large ones from a smaller one; all from the place that was drawn."""
    spec, section = PixelSpec(height=20, width=20, jpeg_scale="reduced"), AugmentSection(random_resized_crop=0.02)
    stored = encoded(smooth(330, 250), "JPEG", quality=95, exif=oriented(orientation))
    upright = decoded(stored).whole()
    small = 0
    for index in range(30):
        full = random_resized_crop(upright, spec, section, generator(1, 1, index)).astype(int)
        found = random_resized_crop(stored, spec, section, generator(1, 1, index)).astype(int)
        assert np.abs(found - full).mean() < 2
        small += np.array_equal(found, full)
    assert 0 < small < 30


def test_changes_of_colour_and_shape_are_drawn_for_every_image_and_grow_with_their_strength():
    smooth = np.repeat(np.linspace(0, 255, 16, dtype=np.uint8)[:, None, None], 16, axis=1).repeat(3, axis=2)
    weak, strong = (
        [augment(smooth, AugmentSection(randaugment=strength), generator(1, 2, index)) for index in range(80)]
        for strength in (1, 30)
    )
    assert len({view.tobytes() for view in strong}) > 40
    apart = [np.mean([np.abs(view.astype(float) - smooth).mean() for view in views]) for views in (weak, strong)]
    assert 0 < apart[0] < apart[1] / 3
    again = augment(smooth, AugmentSection(randaugment=30), generator(1, 2, 7))
    assert np.array_equal(again, strong[7])


@pytest.mark.parametrize("channels", [1, 3])
def test_changes_leave_pytorchs_own_draws_alone(channels):
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    assert augment(pixels(channels=channels), AugmentSection(randaugment=9), generator(1, 2, 3)).shape[-1] == channels
    assert torch.equal(torch.rand(1), wanted)
