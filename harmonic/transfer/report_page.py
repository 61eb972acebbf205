"""The report of a fit for its owner: one page with how sure the classifier is, what it confuses, and which images it
gets wrong."""

import base64
import io
from html import escape

import numpy as np

from harmonic.bundles import Report
from harmonic.drawing import Curve, line_chart, whole_page
from harmonic.transfer.findings import advice, further_lines, survey_lines, tried_lines
from harmonic.transfer.outcome import Transferred
from harmonic.transfer.report import report

_SHOWN = 24  # wrong answers
_NEIGHBOURS = 3
_SIDE = 96  # of a small picture, in pixels


def report_page(fitted: Transferred) -> str:
    """The whole page, as HTML. Opens images again, to show small pictures of some."""
    found = report(fitted)
    accuracy, balanced = fitted.judgement.accuracy, fitted.judgement.balanced
    name = fitted.survey.images.source
    threshold = (
        f"Answers with a probability of at least {sure['probability']:.2f} were right in 95 of 100 cases; of others it "
        f"will be {sure['at_least']:.1%} or more, as far as these can say."
        if (sure := fitted.certainty)
        else "At no threshold were 95 of 100 answers right."
    )
    said = [f"<p>{escape(line)}</p>" for line in survey_lines(fitted.survey)]
    done = [f"<p>{escape(line)}</p>" for line in [*tried_lines(fitted), *further_lines(fitted)]]
    return whole_page(
        f"Classifier of {name}",
        f"<h1>Classifier of {escape(name)}</h1><p><b>{accuracy}</b> of the answers were right on images held out; "
        f'<b>{balanced}</b> as a mean over the classes. <span class="soft">In brackets: where it lies in 95 of 100 '
        f"cases, as far as these images can say.</span></p><p>{threshold}</p><p>{escape(advice(fitted))}</p>"
        f"<h2>Images</h2>{''.join(said)}"
        f"<h2>Networks tried</h2>{''.join(done)}"
        f'<h2>Curves</h2><div class="charts">{_learning(fitted, found)}{_calibration(found)}{_precision(found)}</div>'
        f"<h2>Confusion</h2>{_confusion(fitted, found)}"
        f"<h2>Wrong answers, the surest first</h2>{_wrong(fitted)}",
    )


def _learning(fitted: Transferred, found: Report) -> str:
    held = "held out" if fitted.example is None else "held out, head alone"
    points = [(float(one.images), 100 * one.accuracy) for one in found.learning]
    return line_chart("Accuracy by number of images", [Curve(held, points)], "images learned from", "% right")


def _calibration(found: Report) -> str:
    points = [(one.probability, one.right) for one in found.calibration]
    drawn = [Curve("found", points), Curve("ideal", [(0.0, 0.0), (1.0, 1.0)])]
    return line_chart("Calibration: right answers by probability", drawn, "probability", "share right")


def _precision(found: Report) -> str:
    precision = [(one.probability, one.right) for one in found.thresholds]
    kept = [(one.probability, one.kept) for one in found.thresholds]
    return line_chart("What a threshold brings", [Curve("right", precision), Curve("kept", kept)], "threshold", "share")


def _confusion(fitted: Transferred, found: Report) -> str:
    classes = fitted.bundle.card.classes
    if found.confusion is None:
        return f"<p>{len(classes)} classes: too many for a table.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in classes)
    rows = [
        f"<tr><td>{escape(name)}</td>{''.join(map(_cell, row, [row.sum()] * len(row)))}</tr>"
        for name, row in zip(classes, fitted.judgement.confusion, strict=True)
    ]
    return f'<div class="scroll"><table><tr><th>true \\ answered</th>{head}</tr>{"".join(rows)}</table></div>'


def _cell(count: float, whole: float) -> str:
    shade = round(70 * count / whole)
    style = f"background:color-mix(in srgb,var(--c0) {shade}%,transparent)"
    return f'<td style="{style}">{count:.1f}</td>' if count else "<td></td>"


def _wrong(fitted: Transferred) -> str:
    """Pictures with what was answered, each beside those that it resembles."""
    classes, mean, places = fitted.bundle.card.classes, fitted.judgement.mean, fitted.judgement.places
    labels = fitted.survey.images.labels[places]
    wrong = np.flatnonzero(mean.argmax(1) != labels)
    worst = wrong[np.argsort(-mean[wrong].max(1), kind="stable")][:_SHOWN]
    if not len(worst):
        return "<p>None.</p>"
    unit = fitted.chosen.features / np.maximum(np.linalg.norm(fitted.chosen.features, axis=1, keepdims=True), 1e-12)
    rows = []
    for place in worst:
        index = places[place]
        near = [int(i) for i in np.argsort(-(unit @ unit[index]), kind="stable") if i != index][:_NEIGHBOURS]
        answer = f"{classes[int(mean[place].argmax())]}, {mean[place].max():.0%}"
        rows.append(
            f"<tr><td>{_picture(fitted, int(index))}</td><td>{escape(answer)}</td>"
            f"<td>{''.join(_picture(fitted, i) for i in near)}</td></tr>"
        )
    head = "<tr><th>image and its class</th><th>answer</th><th>nearest to it</th></tr>"
    return f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'


def _picture(fitted: Transferred, index: int) -> str:
    images = fitted.survey.images
    small = images.open(index).convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=80)
    label = escape(images.classes[images.labels[index]])
    return (
        f'<figure style="display:inline-block;margin-right:.5rem" title="{escape(images.names[index])}">'
        f'<img alt="{label}" src="data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}" '
        f'style="height:{_SIDE}px"><figcaption>{label}</figcaption></figure>'
    )
