"""A teacher's answers are learned."""

import pytest
import torch
from torch.nn import functional as F

from harmonic import zoo
from harmonic.bundles import Bundle, Card, Classifier
from harmonic.errors import RecipeError
from harmonic.pixels import PixelSpec
from harmonic.training.recipe import DistilSection
from harmonic.training.teacher import Teacher, refuse_teacher

SPEC = PixelSpec(height=12, width=12)
CLASSES = ("a", "b", "c")


def bundle(spec=SPEC, classes=CLASSES):
    torch.manual_seed(3)
    card = Card(architecture="harm_wrn10_0.5", classes=classes, pixels=spec)
    return Bundle(card, zoo.create("harm_wrn10_0.5", len(classes)).eval())


def test_the_loss_is_hintons():
    own, images = bundle(), torch.randint(0, 256, (4, 12, 12, 3), dtype=torch.uint8)
    logits, labelled = torch.randn(4, 3), torch.tensor(0.7)
    with torch.no_grad():
        wanted = F.softmax(Classifier(own.model, SPEC).eval()(images) / 3, dim=1)
    apart = (wanted * (wanted.log() - F.log_softmax(logits / 3, dim=1))).sum(dim=1).mean()
    found = Teacher(own, DistilSection(weight=0.6, temperature=3)).loss(images, logits, labelled)
    assert float(found) == pytest.approx(0.6 * 9 * float(apart) + 0.4 * 0.7, rel=1e-4)


def test_an_answer_like_the_teachers_costs_nothing():
    own, images = bundle(), torch.randint(0, 256, (4, 12, 12, 3), dtype=torch.uint8)
    teacher = Teacher(own, DistilSection(weight=1))
    logits = Classifier(own.model, SPEC).eval()(images)
    assert float(teacher.loss(images, logits, torch.tensor(9.0))) == pytest.approx(0, abs=1e-5)


def test_a_teacher_of_other_classes_or_pixels_is_refused():
    refuse_teacher(bundle(), CLASSES, SPEC.model_copy(update={"mean": (0.1, 0.2, 0.3)}))  # its own is inside it
    with pytest.raises(RecipeError, match="the teacher answers a, b, c, the images have a, c, b"):
        refuse_teacher(bundle(), ("a", "c", "b"), SPEC)
    with pytest.raises(RecipeError, match="the teacher takes images of 12 x 12, this network of 16 x 12"):
        refuse_teacher(bundle(), CLASSES, PixelSpec(height=12, width=16))
