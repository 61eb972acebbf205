"""`harmonic serve`, `health`, `classify` and `key`. Nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from service.flags import FlagsOfAddress, FlagsOfSettings, with_flags

_Repository = Annotated[
    str | None,
    typer.Option(help="Folder of the models: NAME/VERSION/; or an address, as of `serve`.", show_default="models"),
]
_Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or cuda:0,cuda:1.", show_default="auto")]


@with_flags(FlagsOfSettings)
def serve(context: typer.Context) -> None:
    """Serve the models of a repository over HTTP.

    Try it:  curl --data-binary @cat.jpg http://127.0.0.1:8000/v1/classify

    The running service documents its routes at /docs. SIGTERM answers what is in flight, then ends.

    Every option is also an environment variable (--max-batch is HARMONIC_SERVE_MAX_BATCH); an option wins.
    """
    from service.config import read_settings

    settings = read_settings(context.params)
    if settings.processes() == 1 and not settings.has_owner():
        from service.http import run

        run(settings)
    else:
        from service.processes import supervise

        supervise(settings)


@with_flags(FlagsOfAddress)
def health(context: typer.Context) -> None:
    """Ask whether the service of this machine is ready.

    Ends with status 0 if it is, else with 1 and the reason: for the health check of a container.

    It asks where the settings say that the service listens: these options, else the environment; in a container also
    the options of the `harmonic serve` that is its first process.
    """
    from service.probe import report

    typer.echo(report(context.params))


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
    from service.classify import classify_files

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

    from harmonic.errors import sentence
    from service.config import entry, make
    from service.errors import StartError

    try:
        secret, made = make(name, scope or ["inference"])
    except ValidationError as error:
        raise StartError(f"--{sentence(error).replace('scopes', 'scope', 1)}") from None
    typer.echo(f"The key of {name}, shown this once: {secret}", err=True)
    typer.echo(entry(made), nl=False)
