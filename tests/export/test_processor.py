"""The processor is known by what its kernel says of it."""

import pytest

from export.processor import multiplies_int8, processor_name

VNNI = "processor : 0\nmodel name\t: Some Server CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"


@pytest.mark.parametrize(
    ("said", "fast"),
    [
        (VNNI, True),
        ("model name : old\nflags : fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd asimddp\n", True),
        ("Features\t: fp asimd\n", False),
        ("flags : avx_vnni_int8_of_another_name\n", False),
    ],
)
def test_int8_is_fast_where_the_processor_multiplies_bytes(said: str, fast: bool) -> None:
    assert multiplies_int8(said) is fast


def test_a_processor_has_a_name_even_where_the_kernel_gives_none() -> None:
    assert processor_name(VNNI) == "Some Server CPU @ 2 GHz"
    assert processor_name("")
    assert processor_name()
