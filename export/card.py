"""A model card for a bundle that brings none: what the model is, what it was measured on, what nobody checked."""

from export.manifest import LayoutPlan
from harmonic.bundles import Bundle
from harmonic.graph import parameters


def model_card(name: str, bundle: Bundle, plan: LayoutPlan | None = None) -> str:
    """Markdown from the bundle's own facts, and from those of its layout."""
    card = bundle.card
    lines = [
        f"# {name}",
        "",
        f"`{card.architecture}` with {parameters(bundle.model):,} parameters, for {len(card.classes)} classes: "
        f"{', '.join(card.classes[:20])}{', ...' if len(card.classes) > 20 else '.'}",
        "",
        f"Input: {card.pixels.height} x {card.pixels.width} {card.pixels.mode}, fitted by {card.pixels.fit}.",
        "",
        "## Measured",
        "",
        *_figures(card.metrics),
        *_speed(plan),
        "",
        "## Limits",
        "",
        "The answer is always one of the classes above, whatever the image shows. Accuracy on images of another kind "
        "than those above has not been measured.",
    ]
    if card.license:
        lines += ["", "## Licence", "", card.license]
    if card.notice:
        lines += ["", "## Notice", "", card.notice]
    return "\n".join(lines) + "\n"


def _figures(metrics: dict[str, object]) -> list[str]:
    test, fitted = metrics.get("test"), metrics.get("fit")
    if isinstance(fitted, dict):
        right, even = (
            f"{fitted[name]['value']:.1%} ({fitted[name]['low']:.1%} to {fitted[name]['high']:.1%})"
            for name in ("accuracy", "balanced_accuracy")
        )
        return [
            f"By {fitted['judged_by']}, on {fitted['images']:,} images of {fitted['source']}: accuracy {right}, "
            f"mean over the classes {even}. Built on {fitted['backbone']}."
        ]
    if not isinstance(test, dict):
        return ["Nothing: this bundle carries no test figures."]
    return [f"Top-1 {test['top1']:.2%} on {test['images']:,} images of {test['source']}, seen once, after training."]


def _speed(plan: LayoutPlan | None) -> list[str]:
    if plan is None:
        return []
    fused, now = plan.multiplications
    factored = sum(layer.form != "fused" for layer in plan.layers)
    says = f"{factored} of {len(plan.layers)} truncated layers are factored: {now / fused:.0%} of the multiplications"
    gains = [f"{gain:.2f} times as fast as fused in batches of {batch}" for batch, gain in plan.gains.items()]
    return ["", f"{', '.join([says, *gains])}{f' ({plan.device}, one thread)' if gains else ''}."]
