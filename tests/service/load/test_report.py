"""The page: a file by itself, with all figures, and nothing of others that a browser would take for its own."""

import io
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from harmonic.drawing import Curve, bar_chart, line_chart
from service.load.figures import StepFigures
from service.load.findings import Findings, as_json, remarks, tables, versions
from service.load.peak import Peak
from service.load.report import page
from tests.support.steps import step


def findings(*steps: StepFigures, peak: Peak | None = None) -> Findings:
    return Findings(
        url="http://a/<b>",
        command="harmonic load 'http://a/<b>'",
        started="2026-01-01T00:00:00+00:00",
        body="raw",
        images=3,
        request_bytes=1234,
        versions=versions(),
        steps=steps,
        peak=peak,
    )


def test_it_is_one_file_with_charts_of_every_step():
    text = page(findings(step(100), step(200, failed=4, cpu=0.99), step(300, cut=True)))
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "<b>" not in text.replace("<b>none", "")
    # The curve, and three charts a step.
    assert text.count("<svg") == 1 + 3 * 3
    assert "prefers-color-scheme:dark" in text
    for words in ("200 requests/s", "4 x 429 Too Many Requests", "99% of a core", "cut short, 3", "queue 1.50 ms"):
        assert words in text
    for svg in re.findall("<svg.*?</svg>", text):
        ET.fromstring(svg)


def test_one_step_has_no_curve():
    assert page(findings(step())).count("<svg") == 3


def test_a_peak_is_told():
    assert "<b>95 requests/s</b>" in page(findings(step(), peak=Peak(95.0, 50.0, "why", step(), ())))
    assert "<b>none</b>" in page(findings(step(), peak=Peak(None, 50.0, "why", None, ())))


def test_a_step_without_any_answer_has_a_page_too():
    assert "100 x 429" in page(findings(step(failed=100), step(failed=100)))


def test_the_document_has_every_figure():
    found = findings(step(failed=2), peak=Peak(95.0, 50.0, "why", None, ())).document()
    assert found["steps"][0]["latency_ms"]["p99"] == pytest.approx(10)
    assert found["steps"][0]["failures"] == {"429 Too Many Requests": 2}
    assert found["steps"][0]["service"]["batches"] == {1: 5, 4: 20}
    assert len(found["steps"][0]["moments"]) == 10
    assert found["peak"] == {"rate": 95.0, "slo_p99_ms": 50.0, "why": "why"}
    assert '"schema": 1' in as_json(findings(step()))


def test_what_must_be_known_is_said():
    said = "\n".join(remarks([step(failed=2, cpu=0.99), step(cut=True), step()]))
    for words in ("failed: 2 x 429", "for example: no label", "99% of a core", "3 requests were on their way"):
        assert words in said
    assert said.count("\n") == 3


def test_a_terminal_of_80_columns_has_a_table_whose_figures_are_whole():
    told = io.StringIO()
    narrow = tables([step(100_000.0, latency_ms=12_345.67, failed=99)])[-1]
    Console(file=told, width=80).print(narrow)
    for words in ("100000 requests/s", "answers/s", "p50 ms", "p99 ms", "12,345.67", "failed", "late"):
        assert words in told.getvalue()


def test_a_latency_that_no_request_had_is_a_bar_of_nothing():
    (svg,) = re.findall("Requests by latency</figcaption>(<svg.*?</svg>)", page(findings(with_a_gap())))
    counts = [title.text for title in ET.fromstring(svg).iter() if title.tag.endswith("title")]
    assert len(counts) == 5
    assert [name in svg for name in (">1<", ">1.41<", ">2<")] == [True] * 3


def with_a_gap() -> StepFigures:
    return replace(step(), histogram=((1.0, 7), (2.0, 3)))


def test_large_numbers_are_written_out_beside_the_axes():
    chart = line_chart("t", [Curve("a", [(0, 0), (60_000, 120_000)])], "x", "y")
    assert "60,000" in chart
    assert "e+" not in chart


def test_points_lie_where_their_values_are():
    svg = ET.fromstring(
        re.search("<svg.*</svg>", line_chart("t", [Curve("a", [(0, 0), (10, 5), (5, 10)])], "x", "y"))[0]
    )
    places = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in svg.iter("circle")]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x0 < x2 < x1
    assert y0 > y1 > y2
    assert x2 - x0 == pytest.approx((x1 - x0) / 2, abs=0.2)
    assert y0 - y1 == pytest.approx((y0 - y2) / 2, abs=0.2)


def test_bars_are_as_high_as_their_values():
    svg = ET.fromstring(re.search("<svg.*</svg>", bar_chart("t", [("a", 10.0), ("b", 5.0)], "x", "y"))[0])
    high, low = (float(bar.get("height")) for bar in svg.iter("rect"))
    assert high == pytest.approx(2 * low, abs=0.3)


def test_nothing_is_no_chart():
    assert line_chart("t", [], "x", "y") == bar_chart("t", [], "x", "y") == ""
