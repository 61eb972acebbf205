"""Mixed images have mixed labels, in the same shares."""

import pytest
import torch

from harmonic.training.mixing import mixing
from harmonic.training.recipe import AugmentSection

PLAIN = torch.stack([torch.full((6, 4, 3), value, dtype=torch.uint8) for value in (0, 100, 200)])
LABELS = torch.arange(3)


def test_nothing_is_mixed_unless_it_is_asked_for():
    assert mixing(AugmentSection(), 3) is None


@pytest.mark.parametrize("way", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 0.4}])
def test_the_share_of_a_class_is_that_of_its_pixels(way):
    mix, seen = mixing(AugmentSection(**way), 3), set()
    for seed in range(20):
        torch.manual_seed(seed)
        images, shares = mix(PLAIN, LABELS)
        assert images.shape == PLAIN.shape
        assert torch.allclose(images.mean(dim=(1, 2, 3)), shares @ torch.tensor([0.0, 100.0, 200.0]), atol=1e-3)
        assert torch.allclose(shares.sum(dim=1), torch.ones(3))
        seen.add(torch.equal(images, images.round()) and bool((images % 100 == 0).all()))
        torch.manual_seed(seed)
        assert torch.equal(mix(PLAIN, LABELS)[0], images)
    assert seen == {"cutmix": {True}, "mixup": {False}}.get("".join(way), {True, False})
