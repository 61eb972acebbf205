"""What a run leaves behind: the curves, the figures of the test images, and the bundle."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.evaluation import Evaluation, NetworkPredictor, evaluate, metrics, report_of
from harmonic.training.checkpoint import Checkpoints
from harmonic.training.curves import draw_curves
from harmonic.training.fitting import Fitted
from harmonic.training.prior import correct_prior
from harmonic.training.run import Run, Shares
from harmonic.training.temperature import best_temperature, cooled, divide_logits, log_probabilities


def published(run: Run, fitted: Fitted) -> tuple[Path, Evaluation | None]:
    """Draw the curves, measure the chosen epoch's weights, and save them; the bundle's folder and what was measured.

    Measured are the test images, or else those that chose the epoch; the bundle's report says which. It runs on the
    device that trained. RunError if the chosen weights cannot be read, BundleError if the bundle cannot be written.
    """
    checkpoints = fitted.checkpoints
    draw_curves(
        checkpoints.log_file,
        run.out / "curves.png",
        title=f"{run.recipe.model.architecture}, {run.given.images.source}",
    )
    run.network.load_state_dict(checkpoints.weights())
    shares = run.shares()
    if run.balanced:
        correct_prior(run.network, run.spec, torch.from_numpy(shares))
    run.network.to(fitted.device)
    judged = _answers(run, run.validation)
    calmed: dict[str, float] = {}
    if judged and run.recipe.train.temperature:
        judged, calmed = _calm(run, judged)
    measured = _answers(run, run.test) if run.test else judged
    figures = {
        **_validated(run, checkpoints),
        **calmed,
        **_certain(judged, measured),
        **_class_shares(run, shares),
        **_tested(run, shares, measured),
    }
    found = report_of(measured, _way(run)) if measured else None
    bundle.save(bundle.Bundle(_card(run, figures), run.network, found), run.out / "bundle")
    return run.out / "bundle", measured


def _calm(run: Run, judged: Evaluation) -> tuple[Evaluation, dict[str, float]]:
    """Let the answers be as sure as they are right on the validation images; what it answers to them then."""
    logits = torch.from_numpy(log_probabilities(judged.probabilities))
    temperature = best_temperature(logits, torch.from_numpy(judged.labels))
    divide_logits(run.network, run.spec, temperature)
    return replace(judged, probabilities=cooled(judged.probabilities, temperature)), {"temperature": temperature}


def _certain(judged: Evaluation | None, measured: Evaluation | None) -> dict[str, Any]:
    """From which probability on answers are right nearly always, if from any: by whichever images are more.

    The test images where they are as many: the others chose the epoch, and are answered a little better for it.
    """
    most = max((of for of in (measured, judged) if of), key=lambda of: len(of.labels), default=None)
    sure = metrics.certainty(most.probabilities, most.labels) if most else None
    return {"certainty": sure} if sure else {}


def _answers(run: Run, images: Images) -> Evaluation | None:
    return evaluate(NetworkPredictor(run.network, run.classes, run.spec), images) if len(images) else None


def _way(run: Run) -> str:
    """How the images of the report were held out, in words."""
    return "tested once" if run.test else "which chose the epoch, too"


def _validated(run: Run, checkpoints: Checkpoints) -> dict[str, Any]:
    figures = {**checkpoints.figures, **checkpoints.rule.uncertainty(checkpoints.figures)}
    return {"trained_on": run.given.images.source, "epoch": checkpoints.epoch + 1, "validation": figures}


def _class_shares(run: Run, shares: Shares) -> dict[str, Any]:
    """The shares that the network expects, where they are not those of its training."""
    return {"class_shares": dict(zip(run.classes, shares.tolist(), strict=True))} if run.balanced else {}


def _tested(run: Run, shares: Shares, measured: Evaluation | None) -> dict[str, Any]:
    if not run.test or not measured:
        return {}
    even = {"test_for_even_classes": measured.for_even_classes(shares).summary()} if run.balanced else {}
    return {"test": measured.summary(), **even}


def _card(run: Run, figures: dict[str, Any]) -> bundle.Card:
    recipe = run.recipe
    return bundle.Card(
        architecture=recipe.model.architecture,
        arguments=recipe.model.arguments,
        classes=run.classes,
        pixels=run.spec,
        recipe=recipe.model_dump(mode="json"),
        metrics=figures,
        libraries=bundle.library_versions(),
        license=recipe.license,
        notice=recipe.notice,
    )
