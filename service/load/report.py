"""One page for a load: a file by itself, without scripts, light or dark as the reader's screen is."""

from collections.abc import Sequence
from html import escape

from service.load.drawing import Curve, bars, lines
from service.load.figures import PERCENTILES, StepFigures
from service.load.findings import Findings

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#fff;--rule:#d9dee5;--c0:#1668b8;--c1:#c2410c;--c2:#15803d;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--paper:#12161c;--rule:#2c3440;--c0:#6cb3f5;--c1:#fb923c;--c2:#4ade80;--bad:#f87171}}
body{margin:2rem auto;max-width:84rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}p{margin:.3rem 0}
code{background:color-mix(in srgb,var(--rule) 45%,transparent);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
.soft{color:var(--soft)}.bad{color:var(--bad)}.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.25rem .7rem;border-bottom:1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child{text-align:left}
th{color:var(--soft);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600;font-size:.9rem}svg{width:100%;height:auto}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:2}.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}
circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}
svg text.legend{text-anchor:end;font-weight:600}text.legend.c0{fill:var(--c0)}text.legend.c1{fill:var(--c1)}text.legend.c2{fill:var(--c2)}
.bar{fill:var(--c0)}
"""  # noqa: E501 - a style sheet


def page(findings: Findings) -> str:
    """The whole page."""
    url = escape(findings.url)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Load on {url}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Load on <code>{url}</code></h1>{_facts(findings)}{_peak(findings)}"
        f"<h2>Steps</h2>{_table(findings.steps)}{_curve(findings.steps)}"
        f"{''.join(map(_step, findings.steps))}</body></html>\n"
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
    return f'<div class="charts">{lines("Latency against throughput", drawn, "answers/s", "ms")}</div>'


def _step(step: StepFigures) -> str:
    drawn = [
        Curve(name, [(each.at_s, value) for each in step.moments if (value := getattr(each, f"{name}_ms")) is not None])
        for name in ("p50", "p99")
    ]
    charts = [
        lines("Latency over time", drawn, "seconds", "ms"),
        bars(
            "Requests by latency", [(f"{top:.3g}", count) for top, count in step.histogram], "ms, at most", "requests"
        ),
    ]
    if step.service:
        batches = [(str(size), float(count)) for size, count in step.service.batches.items()]
        charts.append(bars("Batches of the service", batches, "images in a model call", "calls"))
    return f'<h2>{escape(step.pace)}</h2>{_words(step)}<div class="charts">{"".join(charts)}</div>'


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
