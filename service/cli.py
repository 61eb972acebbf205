"""`harmonic serve`, `harmonic classify`, `harmonic key`. Nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer

_Repository = Annotated[Path | None, typer.Option(help="Folder of the models: NAME/VERSION/.", show_default="models")]
_Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or cuda:0,cuda:1.", show_default="auto")]


def serve(
    repository: _Repository = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 for every one.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8000")
    ] = None,
    device: _Device = None,
    default_model: Annotated[
        str | None, typer.Option(help="Model of /v1/classify.", show_default="the only one")
    ] = None,
    max_batch: Annotated[int | None, typer.Option(help="Most images in one model call.", show_default="32")] = None,
    window_ms: Annotated[
        float | None, typer.Option(help="Longest wait for company while idle.", show_default="0")
    ] = None,
    max_queue: Annotated[int | None, typer.Option(help="Most images that wait; then 429.", show_default="256")] = None,
    deadline_ms: Annotated[
        float | None, typer.Option(help="Longest time to an answer; then 504.", show_default="30000")
    ] = None,
    instances: Annotated[
        int | None, typer.Option(help="Sessions of each version side by side.", show_default="1")
    ] = None,
    versions: Annotated[
        str | None, typer.Option(help="Which versions serve: all, latest, latest:N or a list: 1,3.", show_default="all")
    ] = None,
    model_control: Annotated[
        str | None,
        typer.Option(help="none; poll: follow the repository; explicit: on request.", show_default="none"),
    ] = None,
    poll_seconds: Annotated[
        float | None, typer.Option(help="Time between two looks at the repository.", show_default="5")
    ] = None,
    load_models: Annotated[
        str | None,
        typer.Option(help="Under explicit control: models to load at the start; * for all.", show_default="none"),
    ] = None,
    stem: Annotated[
        str | None, typer.Option(help="First layer: auto, folded, or native in PyTorch.", show_default="auto")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of one model call.", show_default="those at hand")
    ] = None,
    keys_file: Annotated[
        Path | None, typer.Option(help="API keys, as `harmonic key` writes them.", show_default="none")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate in PEM; turns TLS on.", show_default="none")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.", show_default="none")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="A port of their own for probes and metrics.", show_default="none")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
    log_format: Annotated[
        str | None, typer.Option(help="text, or json: an object a line.", show_default="text")
    ] = None,
    access_log: Annotated[
        bool | None, typer.Option("--access-log/--no-access-log", help="Log every request.", show_default="no")
    ] = None,
) -> None:
    """Serve the models of a repository over HTTP.

    Try it:  curl --data-binary @cat.jpg http://127.0.0.1:8000/v1/classify

    The running service documents its routes at /docs. SIGTERM answers what is in flight, then ends.

    Every option is also an environment variable (--max-batch is HARMONIC_SERVE_MAX_BATCH); an option wins.
    """
    from service.config import read_settings
    from service.http import run

    flags = {
        "repository": repository,
        "host": host,
        "port": port,
        "device": device,
        "default_model": default_model,
        "max_batch": max_batch,
        "window_ms": window_ms,
        "max_queue": max_queue,
        "deadline_ms": deadline_ms,
        "instances": instances,
        "versions": versions,
        "model_control": model_control,
        "poll_seconds": poll_seconds,
        "load_models": load_models,
        "stem": stem,
        "threads": threads,
        "keys_file": keys_file,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "admin_port": admin_port,
        "log_level": log_level,
        "log_format": log_format,
        "access_log": access_log,
    }
    run(read_settings(flags))


def classify(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    url: Annotated[
        str | None, typer.Option(help="Ask this service, like http://127.0.0.1:8000; without it the model runs here.")
    ] = None,
    repository: _Repository = None,
    model: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the only one")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="How many classes for each image.")] = 5,
    device: _Device = None,
    key: Annotated[
        str | None,
        typer.Option(help="API key for --url.", show_default="HARMONIC_API_KEY"),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
) -> None:
    """Say what is in pictures, with a model at hand or a running service.

    A file that cannot be classified is reported and does not stop the others; the exit status is then 1.
    """
    from service.client import classify_files

    failed = classify_files(
        images,
        url=url,
        repository=repository,
        model=model,
        top_k=top_k,
        device=device,
        as_json=json_output,
        key=key,
    )
    if failed:
        raise typer.Exit(1)


def key(
    name: Annotated[str, typer.Option(help="Whose key it is: letters, digits, dots, dashes.")],
    scope: Annotated[list[str] | None, typer.Option(help="inference or control; may be given twice.")] = None,
) -> None:
    """Make an API key: the key itself on stderr, once; on stdout what the service keeps of it, its SHA-256.

    Try it:  harmonic key --name ci >> keys.toml  and then  harmonic serve --keys-file keys.toml
    """
    from pydantic import ValidationError

    from service.config import entry, make
    from service.errors import StartError

    try:
        secret, made = make(name, scope or ["inference"])
    except ValidationError as error:
        problem = error.errors()[0]
        raise StartError(f"--{str(problem['loc'][0]).removesuffix('s')}: {problem['msg']}") from None
    typer.echo(f"The key of {name}, shown this once: {secret}", err=True)
    typer.echo(entry(made), nl=False)
