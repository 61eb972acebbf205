"""What a folder holds is told: what cannot be read, what is a copy, what is no material."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harmonic.errors import DataError
from harmonic.transfer import survey, survey_lines
from harmonic.transfer.survey import alike
from tests.support.images import smooth
from tests.support.pictures import encoded, read


def written(root: Path, **classes: list[bytes]) -> Path:
    for name, files in classes.items():
        (root / name).mkdir(parents=True)
        for number, content in enumerate(files):
            (root / name / f"{number}.png").write_bytes(content)
    return root


def noise(seed: int, side: int = 48) -> Image.Image:
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC)


def test_pictures_that_were_saved_again_are_copies_and_others_are_not(tmp_path: Path) -> None:
    first = noise(1, 200)
    again = [encoded(first), encoded(first, "JPEG", quality=70), encoded(first.resize((90, 90))), encoded(noise(2))]
    found = survey(read(written(tmp_path, a=again, b=[encoded(noise(seed)) for seed in range(10, 40)])))
    assert found.copies == ((0, 1, 2),)
    assert not found.contradictory
    groups = found.images.own_groups()
    assert len(set(groups[:3])) == 1
    assert len(set(groups)) == len(groups) - 2


def test_alike_is_not_the_same(tmp_path: Path) -> None:
    """Smooth pictures with the same waves and other colours, and plain ones of near colours."""
    turned = np.asarray(smooth(64, 64))[..., ::-1]
    plain = [encoded(Image.new("RGB", (40, 40), (level, 90, 90))) for level in (60, 90, 120)]
    found = survey(read(written(tmp_path, a=[encoded(smooth(64, 64)), encoded(Image.fromarray(turned))], b=plain)))
    assert found.copies == ()


def test_a_picture_with_two_classes_is_told(tmp_path: Path) -> None:
    same = encoded(noise(1))
    found = survey(read(written(tmp_path, a=[same, encoded(noise(2))], b=[same, encoded(noise(3)), encoded(noise(4))])))
    assert found.contradictory == ((0, 2),)
    text = "\n".join(survey_lines(found))
    assert "1 pictures are there with different classes, one of which is wrong:" in text
    assert "0.png (a) =" in text
    assert "Very few images, so their figures say little: a (2), b (3)" in text


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    broken = encoded(noise(1))[:-200]
    found = survey(
        read(
            written(
                tmp_path,
                a=[broken, *(encoded(noise(s)) for s in (2, 3))],
                b=[b"", *(encoded(noise(s)) for s in (4, 5))],
            )
        )
    )
    assert len(found.unreadable) == 2
    assert len(found.images) == 4
    assert list(found.counts) == [2, 2]
    assert "a/0.png" in found.unreadable[0]
    assert any(line.startswith("2 cannot be read and are left out:") for line in survey_lines(found))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([b"no image"], "no image of b can be read"),
        ([encoded(noise(7))], "b: a single image"),
        ([encoded(noise(7)), encoded(noise(7), "JPEG", quality=80)], r"b: a single image \(or copies of one\)"),
    ],
)
def test_a_class_that_nothing_could_judge_is_refused(tmp_path: Path, files: list[bytes], words: str) -> None:
    with pytest.raises(DataError, match=words):
        survey(read(written(tmp_path, a=[encoded(noise(1)), encoded(noise(2))], b=files)))


def test_thousands_of_the_same_and_of_flat_pictures_are_told_apart_in_a_moment() -> None:
    levels = (np.arange(2500) % 25 * 10).astype(np.uint8)
    flat = np.broadcast_to(levels[:, None, None, None], (2500, 32, 32, 3))
    numbers = alike(np.ascontiguousarray(flat))
    assert len(set(numbers)) == 25
    assert (numbers == numbers[:25][np.arange(2500) % 25]).all()


def test_what_the_data_set_calls_one_thing_and_what_is_a_copy_stay_together(tmp_path: Path) -> None:
    """0 and 1 are copies, 1 and 2 the same thing, so all three are judged together."""
    first = noise(1, 200)
    files = [encoded(first), encoded(first, "JPEG", quality=70), *(encoded(noise(seed)) for seed in (2, 3))]
    images = read(written(tmp_path, a=files, b=[encoded(noise(seed)) for seed in (4, 5)]))
    found = survey(replace(images, groups=np.array([7, 5, 5, 1, 2, 3])))
    assert list(found.images.own_groups()) == [0, 0, 0, 1, 2, 3]
