"""What a run leaves behind: the curves, the figures of the test images, and the bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from harmonic import bundle
from harmonic.balance import PriorCorrectable
from harmonic.checkpoint import Checkpoints
from harmonic.curves import draw_curves
from harmonic.evaluate import NetworkPredictor, evaluate
from harmonic.fitting import Fitted
from harmonic.run import Run

Shares = Float[np.ndarray, " classes"]


def published(run: Run, fitted: Fitted) -> Path:
    """Draw the curves, measure the chosen epoch's weights on the test images, and save them; the bundle's folder.

    The test runs on the device that trained. RunError if the chosen weights cannot be read, BundleError if the bundle
    cannot be written.
    """
    chosen = fitted.chosen
    draw_curves(chosen.log_file, run.out / "curves.png", title=run.recipe.title)
    run.network.load_state_dict(chosen.weights())
    shares = np.bincount(run.learning.labels, minlength=len(run.images.classes)) / len(run.learning)
    if _balanced(run) and isinstance(run.network, PriorCorrectable):
        run.network.correct_prior(torch.from_numpy(shares))
    figures = {**_chosen_by(run, chosen), **_class_shares(run, shares), **_tested(run, shares, fitted.device)}
    bundle.save(bundle.Bundle(_card(run, figures), run.network), run.out / "bundle")
    return run.out / "bundle"


def _balanced(run: Run) -> bool:
    return run.recipe.data.balance != "none"


def _chosen_by(run: Run, chosen: Checkpoints) -> dict[str, Any]:
    figures = {**chosen.figures, **chosen.choice.uncertainty(chosen.figures)}
    return {"trained_on": run.images.source, "epoch": chosen.epoch + 1, "validation": figures}


def _class_shares(run: Run, shares: Shares) -> dict[str, Any]:
    """The shares that the network expects, where they are not those of its training."""
    return {"class_shares": dict(zip(run.images.classes, shares.tolist(), strict=True))} if _balanced(run) else {}


def _tested(run: Run, shares: Shares, device: torch.device) -> dict[str, Any]:
    if not run.test:
        return {}
    measured = evaluate(NetworkPredictor(run.network.to(device), run.images.classes, run.spec), run.test)
    even = {"test_for_even_classes": measured.for_even_classes(shares).summary()} if _balanced(run) else {}
    return {"test": measured.summary(), **even}


def _card(run: Run, figures: dict[str, Any]) -> bundle.Card:
    recipe = run.recipe
    return bundle.Card(
        architecture=recipe.model.architecture,
        arguments=recipe.model.arguments,
        classes=run.images.classes,
        pixels=run.spec,
        recipe=recipe.model_dump(mode="json"),
        metrics=figures,
        libraries=bundle.library_versions(),
        license=recipe.license,
        notice=recipe.notice,
    )
