import itertools
import math

import numpy as np
import pytest
import torch

from harmonic.errors import SpectrumError
from harmonic.layers.banks import checked_level, dct_bank, filter_size, frequencies

COUNTS = {3: [1, 3, 6, 8, 9], 7: [1, 3, 6, 10, 15, 21, 28, 34, 39, 43, 46, 48, 49]}
SUBSETS_3 = {1: [0], 2: [0, 1, 3], 3: [0, 1, 2, 3, 4, 6], 4: [0, 1, 2, 3, 4, 5, 6, 7], 5: list(range(9))}
NORMS_3 = [0.3333, 0.4082, 0.3536, 0.4082, 0.5, 0.4330, 0.3536, 0.4330, 0.3750]
EPSILON = torch.finfo(torch.float32).eps


def test_the_order_is_rows_outside_columns_inside():
    assert frequencies(3) == tuple(itertools.product(range(3), range(3)))


def test_filter_one_varies_along_the_width():
    row = torch.tensor([1 / 6, 0, -1 / 6])
    torch.testing.assert_close(dct_bank(3)[1], row.expand(3, 3), rtol=0, atol=EPSILON)
    torch.testing.assert_close(dct_bank(3)[3], row.expand(3, 3).T, rtol=0, atol=EPSILON)


@pytest.mark.parametrize(("size", "level"), [(k, level) for k in COUNTS for level in range(1, 2 * k)])
def test_a_level_keeps_the_published_number_of_filters(size, level):
    assert dct_bank(size, level).shape == (COUNTS[size][level - 1], size, size)
    if level > 1:
        assert len(dct_bank(size, level, dc=False)) == COUNTS[size][level - 1] - 1


@pytest.mark.parametrize(("level", "kept"), SUBSETS_3.items())
def test_a_level_deletes_entries_from_the_full_list(level, kept):
    assert torch.equal(dct_bank(3, level), dct_bank(3)[kept])


@pytest.mark.parametrize("level", [2, 3, 5, None])
def test_without_dc_the_first_entry_is_gone(level):
    assert torch.equal(dct_bank(3, level, dc=False), dct_bank(3, level)[1:])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, (1, 7), (3, 5), (7, 2)])
def test_orthonormal_filters_are_the_eigenvectors_of_a_mirrored_path(size):
    """The DCT-II basis diagonalises the second difference with reflecting ends: an oracle without a cosine."""
    rows, columns = (mirrored_eigenvectors(taps) for taps in filter_size(size))
    wanted = np.stack([np.outer(u, v) for u in rows for v in columns])
    np.testing.assert_allclose(dct_bank(size, norm="orthonormal"), wanted, atol=4 * EPSILON)


def mirrored_eigenvectors(taps):
    laplacian = np.diag(np.full(taps, 2.0)) - np.eye(taps, k=1) - np.eye(taps, k=-1)
    laplacian[0, 0] = laplacian[-1, -1] = 1 if taps > 1 else 0
    vectors = np.linalg.eigh(laplacian)[1].T
    return vectors * np.sign(vectors[:, :1])


@pytest.mark.parametrize("size", [1, 3, 4, 7, (2, 5)])
@pytest.mark.parametrize("norm", ["l1", "orthonormal"])
def test_filters_are_orthogonal_under_both_norms(size, norm):
    flat = dct_bank(size, norm=norm).double().flatten(1)
    gram = flat @ flat.T
    assert (gram - gram.diag().diag()).abs().max() <= EPSILON


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, (3, 5)])
def test_l1_filters_sum_to_one_in_absolute_value_and_dc_is_the_box_mean(size):
    bank = dct_bank(size)
    torch.testing.assert_close(bank.abs().sum(dim=(1, 2)), torch.ones(len(bank)), rtol=0, atol=4 * EPSILON)
    torch.testing.assert_close(bank[0], torch.full(bank.shape[1:], 1 / bank[0].numel()), rtol=EPSILON, atol=0)


def test_orthonormal_filters_have_length_one():
    lengths = torch.linalg.vector_norm(dct_bank(5, norm="orthonormal").double(), dim=(1, 2))
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=4 * EPSILON, atol=0)


def test_l1_filters_have_the_published_lengths():
    lengths = torch.linalg.vector_norm(dct_bank(3), dim=(1, 2))
    np.testing.assert_allclose(lengths, NORMS_3, atol=5e-5)


@pytest.mark.parametrize(("size", "condition", "energy"), [(3, 1.5, 1.4601), (7, 1.276, 1.4635)])
def test_l1_banks_have_the_published_condition_and_energy(size, condition, energy):
    flat = dct_bank(size).double().flatten(1)
    assert torch.linalg.cond(flat) == pytest.approx(condition, abs=5e-4)
    assert flat.square().sum() == pytest.approx(energy, abs=5e-5)


@pytest.mark.parametrize("dc", [True, False])
@pytest.mark.parametrize("size", range(1, 12))
def test_every_bank_is_the_originals_to_the_last_bit(size, dc):
    for level in range(1 if dc else 2, 2 * size):
        wanted = torch.from_numpy(original_bank(size, level, dc))
        assert torch.equal(dct_bank(size, level, dc), wanted), level


def original_bank(size, level, dc):
    """As the code of the published checkpoints makes a bank: number by number, normalised filter by filter."""
    kept = [(u, v) for u in range(size) for v in range(size) if u + v < level and (dc or u + v > 0)]
    bank = np.zeros((len(kept), size, size), dtype=np.float32)
    for f, (u, v) in enumerate(kept):
        for x in range(size):
            for y in range(size):
                along, across = math.pi * (x + 0.5) * u / size, math.pi * (y + 0.5) * v / size
                bank[f, x, y] = math.cos(along) * math.cos(across)
        bank[f] /= np.sum(np.abs(bank[f]))
    return bank


def test_a_bank_is_a_fresh_float32_tensor():
    dct_bank(3).zero_()
    assert dct_bank(3).dtype == torch.float32
    assert dct_bank(3).abs().sum() > 0


@pytest.mark.parametrize("size", [0, -1, True, 3.0, "3", None, (), (3,), (3, 3, 3), (3, 0), (3, 2.5), [3, "3"], {}])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(SpectrumError, match="filter's size"):
        dct_bank(size)


@pytest.mark.parametrize("level", [0, -1, 6, 7, 2.0, "2", True, [2], (None, 3, 2)])
def test_a_level_outside_the_bank_is_refused_with_its_range(level):
    with pytest.raises(SpectrumError, match="1 to 5 for 3x3"):
        dct_bank(3, level)


def test_an_empty_bank_is_refused():
    with pytest.raises(SpectrumError, match="empty bank"):
        dct_bank(3, level=1, dc=False)
    with pytest.raises(SpectrumError, match="empty bank"):
        dct_bank(1, dc=False)


@pytest.mark.parametrize("norm", ["l2", "", None, 1])
def test_an_unknown_norm_is_refused(norm):
    with pytest.raises(SpectrumError, match="'l1' or 'orthonormal'"):
        dct_bank(3, norm=norm)


def test_no_level_is_the_highest_level():
    assert checked_level(None, (2, 5)) == 6
    assert torch.equal(dct_bank((2, 5)), dct_bank((2, 5), 6))


def test_a_list_is_a_size_too():
    assert filter_size([3, 5]) == (3, 5)
