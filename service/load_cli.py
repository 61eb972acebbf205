"""`harmonic load`. Nothing heavy is imported before it runs."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.load import Condition, Findings, Order, Pace, StepFigures, Trial

_INTERRUPTED = 130  # what a shell expects of a command that was ended by Ctrl-C


def load(
    url: Annotated[
        str,
        typer.Argument(help="A service, like http://127.0.0.1:8000; with a path, requests go to exactly that one."),
    ],
    rate: Annotated[
        str | None, typer.Option(help="Open load: requests a second, at random moments. Several: 100,200,400.")
    ] = None,
    callers: Annotated[
        str | None,
        typer.Option(
            help="Closed load: so many callers, each waits for its answer. Several: 1,8,32.", show_default="8"
        ),
    ] = None,
    find_peak: Annotated[
        bool, typer.Option("--find-peak", help="Search the highest rate within --slo-p99-ms.")
    ] = False,
    slo_p99_ms: Annotated[float, typer.Option(min=0.001, help="The p99 that --find-peak and --mlperf hold to.")] = 50.0,
    image: Annotated[
        list[Path] | None, typer.Option(help="An image, or a folder of them; may be given again.", show_default="made")
    ] = None,
    generate: Annotated[str, typer.Option(help="Without --image: make some of this size and format.")] = "224x224.jpg",
    body: Annotated[
        str,
        typer.Option(
            help="raw, multipart or json for our own routes; tensor, tensor-json or encoded (files in a tensor) "
            "for any service of the Open Inference Protocol, Triton too."
        ),
    ] = "raw",
    model: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the default one")] = None,
    images_per_request: Annotated[int, typer.Option(min=1, help="Images in one request.")] = 1,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds that are measured at each step.")] = 10.0,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Measure so many requests a step instead, however long that takes.")
    ] = None,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before, which are not measured.")] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds until a request is given up.")] = 10.0,
    connections: Annotated[int, typer.Option(min=1, help="Most connections of an open load.")] = 256,
    processes: Annotated[int, typer.Option(min=1, help="Processes that send.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the random moments and the made images.")] = 0,
    key: Annotated[
        str | None, typer.Option("--key", "--api-key", help="API key.", show_default="HARMONIC_API_KEY")
    ] = None,
    fail_if: Annotated[
        list[str] | None, typer.Option(help="End with status 1 if so: 'p99>50', 'errors>0', 'throughput<900'.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here; - is stdout.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write one page with charts here (.html).")] = None,
    mlperf: Annotated[
        str | None, typer.Option(help="Let MLPerf's LoadGen ask instead: SingleStream, Server or Offline.")
    ] = None,
    mlperf_log: Annotated[Path | None, typer.Option(help="Folder for LoadGen's own log files.")] = None,
) -> None:
    """Put load on a service, and measure what its callers get.

    Try it:  harmonic load http://127.0.0.1:8000 --callers 1,8,32

    A closed load (--callers) shows what the service can do; an open one (--rate) what callers feel who do not wait for
    each other. Latency runs from the moment at which a request was meant to be sent. Every failure is counted.
    """
    from service.credential import authorization
    from service.load import Body, LoadError, Order, make_pictures, read_condition, read_pictures

    if body not in set(Body):
        raise LoadError(f"--body {body} is none of {', '.join(Body)}.")
    chosen = [name for name, given in (("--rate", rate), ("--callers", callers)) if given is not None]
    if len(chosen) > 1 or (find_peak and callers) or (mlperf and (find_peak or callers)):
        raise LoadError(
            "--rate, --callers, --find-peak and --mlperf are ways of their own (a search may begin at --rate)."
        )
    conditions = [read_condition(text) for text in fail_if or ()]
    order = Order(
        url=url,
        pictures=read_pictures(image) if image else make_pictures(generate, seed),
        body=Body(body),
        model=model,
        images_per_request=images_per_request,
        seconds=None if requests else duration,
        warm_up_s=warm_up,
        requests=requests,
        timeout_s=timeout,
        connections=connections,
        processes=processes,
        seed=seed,
        headers=authorization(key),
    )
    if mlperf:
        _mlperf(order, mlperf, rate, slo_p99_ms, mlperf_log)
        return
    paces = _paces(rate, callers)
    findings = _found(order, paces, slo_p99_ms if find_peak else None)
    _write(findings, json_file, report)
    _end(findings, conditions)


def _paces(rate: str | None, callers: str | None) -> "list[Pace]":
    from service.load import ClosedPace, LoadError, OpenPace

    try:
        if rate is not None:
            found: list[Pace] = [OpenPace(float(each)) for each in rate.split(",")]
        else:
            found = [ClosedPace(int(each)) for each in (callers or "8").split(",")]
    except ValueError:
        found = []
    if not found or any((pace.rate if isinstance(pace, OpenPace) else pace.callers) <= 0 for pace in found):
        raise LoadError(f"{rate or callers!r} are no numbers above zero. Say it like 100 or 100,200,400.")
    return found


def _found(order: "Order", paces: "list[Pace]", slo_p99_ms: float | None) -> "Findings":
    """Run all steps; Ctrl-C ends with those that there are."""
    from service.load import Findings, OpenPace, View, now, trial, versions

    started = now()
    with View() as view, trial(order, view.begin) as running:
        peak = None
        if slo_p99_ms is None:
            steps = _steps(running, paces)
        else:
            first = next((pace.rate for pace in paces if isinstance(pace, OpenPace)), None)
            peak = running.peak(slo_p99_ms, first)
            steps = list(peak.tried)
        place, sent = running.plan.address, running.plan.requests
    return Findings(
        url=place.origin + place.path,
        command=_command(),
        started=started,
        body=order.body.value,
        images=len(order.pictures),
        request_bytes=sum(map(len, sent)) // len(sent),
        versions=versions(),
        steps=tuple(steps),
        peak=peak,
    )


def _steps(running: "Trial", paces: "list[Pace]") -> "list[StepFigures]":
    steps: list[StepFigures] = []
    for pace in paces:
        steps.append(running.step(pace))
        if steps[-1].cut:
            break
    return steps


def _command() -> str:
    """As it was typed, without the key."""
    words = ["harmonic", *sys.argv[1:]]
    for number, word in enumerate(words):
        if word in ("--key", "--api-key") and number + 1 < len(words):
            words[number + 1] = "..."
        elif word.startswith(("--key=", "--api-key=")):
            words[number] = word.partition("=")[0] + "=..."
    return shlex.join(words)


def _write(findings: "Findings", json_file: Path | None, report: Path | None) -> None:
    from harmonic.shown import for_people, show
    from service.load import as_json, page, remarks, tables

    on_stdout = json_file == Path("-")
    with for_people(aside=on_stdout):
        show(*tables(findings.steps))
        if findings.peak:
            found = f"{findings.peak.rate:,.0f} requests/s" if findings.peak.rate else "none"
            typer.echo(f"Peak with p99 within {findings.peak.slo_p99_ms:g} ms: {found}; {findings.peak.why}.")
    for line in remarks(findings.steps):
        typer.echo(line, err=True)
    if on_stdout:
        typer.echo(as_json(findings), nl=False)
    elif json_file:
        _write_file(json_file, as_json(findings))
    if report:
        _write_file(report, page(findings))


def _write_file(path: Path, text: str) -> None:
    from service.load import LoadError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LoadError(f"{path}: cannot be written ({error.strerror}).") from error


def _end(findings: "Findings", conditions: "list[Condition]") -> None:
    """The status: 1 with the reason if a condition is broken, or a search found nothing."""
    from service.load import broken

    reasons = broken(conditions, list(findings.steps), findings.peak.rate if findings.peak else None)
    if findings.peak and findings.peak.rate is None:
        reasons.append(f"no peak: {findings.peak.why}")
    for reason in reasons:
        typer.echo(f"failed: {reason}", err=True)
    if any(step.cut for step in findings.steps):
        raise typer.Exit(_INTERRUPTED)
    if reasons:
        raise typer.Exit(1)


def _mlperf(order: "Order", scenario: str, rate: str | None, slo_p99_ms: float, log: Path | None) -> None:
    from service.load import LoadError, OpenPace, Scenario, View, run_mlperf, trial

    if scenario not in set(Scenario):
        raise LoadError(f"--mlperf {scenario} is none of {', '.join(Scenario)}.")
    asked = _paces(rate, None)[0] if rate else None
    with trial(order, View().begin) as running:
        plan = running.plan
    verdict = run_mlperf(
        plan,
        Scenario(scenario),
        rate=asked.rate if isinstance(asked, OpenPace) else None,
        slo_p99_ms=slo_p99_ms,
        log=log,
    )
    typer.echo(verdict.summary)
    for example in verdict.faults[:1]:
        typer.echo(f"for example: {example}", err=True)
    if not verdict.valid:
        why = f"{verdict.failed} requests failed" if verdict.failed else "LoadGen calls the result INVALID"
        typer.echo(f"failed: {why}", err=True)
        raise typer.Exit(1)
