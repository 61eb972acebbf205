"""One page for a load: a file by itself, without scripts, light or dark as the reader's screen is."""

import math
from collections.abc import Sequence
from html import escape

from harmonic.drawing import Curve, bar_chart, line_chart, whole_page
from service.load.figures import PERCENTILES, StepFigures
from service.load.findings import Findings


def page(findings: Findings) -> str:
    """The whole page."""
    url = escape(findings.url)
    return whole_page(
        f"Load on {findings.url}",
        f"<h1>Load on <code>{url}</code></h1>{_facts(findings)}{_peak(findings)}"
        f"<h2>Steps</h2>{_table(findings.steps)}{_curve(findings.steps)}"
        f"{''.join(map(_step, findings.steps))}",
    )


def _facts(findings: Findings) -> str:
    facts = [f"{name} {value}" for name, value in findings.versions.items()]
    return (
        f'<p class="soft">{escape(findings.started)} · {findings.images} images · {findings.request_bytes:,} bytes a '
        f"request ({escape(findings.body)}) · {' · '.join(map(escape, facts))}</p>"
        f"<p><code>{escape(findings.command)}</code></p>"
        '<p class="soft">Latency runs from the moment at which a request was meant to be sent.</p>'
    )


def _peak(findings: Findings) -> str:
    peak = findings.peak
    if peak is None:
        return ""
    found = f"{peak.rate:,.0f} requests/s" if peak.rate else "none"
    return f"<h2>Peak</h2><p><b>{found}</b> with p99 within {peak.slo_p99_ms:g} ms; {escape(peak.why)}.</p>"


def _table(steps: Sequence[StepFigures]) -> str:
    heads = ["pace", "answers/s", *(f"{name}, ms" for name in (*PERCENTILES, "max")), "failed", "late", "mean batch"]
    head = "".join(f"<th>{each}</th>" for each in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(map(_row, steps))}</table></div>'


def _row(step: StepFigures) -> str:
    found = [step.latency_ms.get(name) for name in (*PERCENTILES, "max")]
    cells = [step.pace, f"{step.throughput:,.1f}", *("-" if each is None else f"{each:,.2f}" for each in found)]
    cells += [f"{step.failed:,}", f"{step.late:,}", f"{step.service.mean_batch:.1f}" if step.service else "-"]
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _curve(steps: Sequence[StepFigures]) -> str:
    answered = sorted((step for step in steps if step.latency_ms), key=lambda step: step.throughput)
    if len(answered) < 2:
        return ""
    drawn = [
        Curve(
            name,
            [(step.throughput, step.latency_ms[name]) for step in answered],
            [f"{step.pace}: {step.throughput:,.0f}/s, {name} {step.latency_ms[name]:.2f} ms" for step in answered],
        )
        for name in ("p50", "p99")
    ]
    return f'<div class="charts">{line_chart("Latency against throughput", drawn, "answers/s", "ms")}</div>'


def _step(step: StepFigures) -> str:
    drawn = [
        Curve(name, [(each.at_s, value) for each in step.moments if (value := getattr(each, f"{name}_ms")) is not None])
        for name in ("p50", "p99")
    ]
    charts = [
        line_chart("Latency over time", drawn, "seconds", "ms"),
        bar_chart("Requests by latency", _bars(step.histogram), "ms, at most", "requests"),
    ]
    if step.service:
        batches = [(str(size), float(count)) for size, count in step.service.batches.items()]
        charts.append(bar_chart("Batches of the service", batches, "images in a model call", "calls"))
    return f'<h2>{escape(step.pace)}</h2>{_words(step)}<div class="charts">{"".join(charts)}</div>'


def _bars(histogram: Sequence[tuple[float, int]]) -> list[tuple[str, float]]:
    """One for every bound, also where no request was, or a gap would look like none."""
    places = {round(4 * math.log2(top)): count for top, count in histogram}
    every = range(min(places), max(places) + 1) if places else ()
    return [(f"{2 ** (place / 4):.3g}", float(places.get(place, 0))) for place in every]


def _words(step: StepFigures) -> str:
    said = [f"{step.requests:,} requests in {step.seconds:g} s, {step.answered:,} answered."]
    if step.service:
        said.append(
            f"In the service: queue {step.service.queue_ms:.2f} ms, model call {step.service.compute_ms:.2f} ms."
        )
    said.append(f"This command used {' + '.join(f'{share:.0%}' for share in step.cpu)} of a core.")
    bad = [f"{count:,} x {kind}" for kind, count in step.failures.items()]
    bad += [step.saturated] if step.saturated else []
    bad += [f"cut short, {step.unfinished} requests on their way"] if step.cut else []
    words = f"<p>{escape(' '.join(said))}</p>"
    return words + "".join(f'<p class="bad">{escape(each)}</p>' for each in (*bad, *step.faults[:3]))
