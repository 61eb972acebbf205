"""The sub-command `push`. Nothing heavy is imported before it runs."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harmonic.commands import Json


def push(
    version: Annotated[
        Path, typer.Argument(help="A version's folder, or a model's for its newest version: models/cifar10.")
    ],
    repository: Annotated[str, typer.Argument(help="A store: s3://BUCKET/PREFIX, gs://..., hf://ORGANISATION/NAME.")],
    name: Annotated[str | None, typer.Option(help="The model's name there; default: its folder's.")] = None,
    as_version: Annotated[
        int | None, typer.Option("--version", help="Version number there; default: the next free one.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Publish a version to a store: whole or not at all, never over another.

    On the Hugging Face hub it is one commit, with a model card that has the hub's metadata. Credentials are where each
    store's library looks for them: AWS_*, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN.
    """
    from export.errors import RepositoryError
    from export.manifest import MANIFEST
    from export.repository import versions
    from export.stores import open_store, publish, read_address
    from harmonic.commands import print_json
    from harmonic.shown import for_people

    source = version.resolve()
    if not (source / MANIFEST).is_file():
        there = versions(source.parent, source.name) if source.is_dir() else []
        if not there:
            raise RepositoryError(f"{version} is neither a version nor a model with versions.")
        source = source / str(there[-1])
    with for_people(aside=json):
        store, called = open_store(read_address(repository)), name or source.parent.name
        number = publish(store, called, source, as_version)
        typer.echo(f"Published {called} version {number} to {store}.")
        typer.echo(f"Next: harmonic serve --repository {shlex.quote(str(store))} --default-model {called}")
    if json:
        print_json({"name": called, "version": number, "repository": str(store)})
