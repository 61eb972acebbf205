"""A teacher: a bundle whose answers are learned beside the labels (Hinton 2015)."""

from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional as F

from harmonic.bundles import Bundle, Classifier
from harmonic.data import some
from harmonic.errors import RecipeError
from harmonic.pixels import PixelSpec
from harmonic.training.recipe import DistilSection

_Logits = Float[Tensor, "n classes"]


class Teacher:
    """What a bundle answers to the batches of a run; it learns nothing itself, and is no part of what is stored."""

    def __init__(self, bundle: Bundle, section: DistilSection) -> None:
        self._classifier = Classifier(bundle.model, bundle.card.pixels).eval().requires_grad_(False)
        self._section = section

    def loss(self, images: Num[Tensor, "n h w c"], logits: _Logits, labelled: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """A batch's loss: what its labels say, and how far the answers are from the teacher's, as the recipe weighs
        them."""
        plan, wanted = self._section, self._classifier.to(images.device)(images)
        apart = F.kl_div(
            F.log_softmax(logits / plan.temperature, dim=1),
            F.log_softmax(wanted / plan.temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        return plan.weight * plan.temperature**2 * apart + (1 - plan.weight) * labelled


def refuse_teacher(teacher: Bundle, classes: tuple[str, ...], spec: PixelSpec) -> None:
    """RecipeError for a teacher that answers other classes, or that sees other pixels than the network does."""
    card = teacher.card
    if card.classes != classes:
        raise RecipeError(f"the teacher answers {some(card.classes)}, the images have {some(classes)}, in this order.")
    normalisation = {"mean": spec.mean, "std": spec.std}  # each network has its own inside
    if card.pixels.model_copy(update=normalisation) != spec:
        raise RecipeError(
            f"the teacher takes images of {card.pixels.width} x {card.pixels.height}, this network of {spec.width} x "
            f"{spec.height}, or it prepares them otherwise. Train with the teacher's [pixels]."
        )
