"""Which epoch's weights are kept, as a pure rule over the figures of the validation images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harmonic.data import Images
from harmonic.training.recipe import Recipe

# Below, one image moves the accuracy by half a per cent or more, and its standard error is up to 3.5 %: of many epochs
# the most accurate is then the luckiest. The loss weighs how sure every answer is, and says more with few images.
FEW = 200


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """How the best epoch is found.

    images: validation images; with none the last epoch is kept. balanced: by balanced accuracy, however few there are.
    """

    images: int
    balanced: bool = False

    @classmethod
    def of(cls, recipe: Recipe, validation: Images) -> "BestEpoch":
        """What the recipe and its validation images allow."""
        return cls(len(validation), recipe.data.balance != "none")

    def better(self, figures: Mapping[str, float], best: Mapping[str, float]) -> bool:
        """Whether an epoch is to be kept instead of the best before it: the more accurate, of equals the one with less
        loss; with few images the one with less loss."""
        return not self.images or self._rank(figures) > self._rank(best)

    def uncertainty(self, figures: Mapping[str, float]) -> dict[str, float]:
        """How many images there were for validation, and the standard error of their plain accuracy (a balanced one has
        another)."""
        if not self.images:
            return {}
        accuracy = figures["val_accuracy"]
        error = math.sqrt(accuracy * (1 - accuracy) / self.images)
        return {"images": self.images, **({} if self.balanced else {"accuracy_standard_error": error})}

    def _rank(self, figures: Mapping[str, float]) -> tuple[float, ...]:
        loss = figures["val_loss"]
        calm = -loss if math.isfinite(loss) else -math.inf
        by_loss = self.images < FEW and not self.balanced
        return (calm, figures["val_accuracy"]) if by_loss else (figures["val_accuracy"], calm)
