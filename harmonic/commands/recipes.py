"""`harmonic recipes`."""

from typing import Annotated

import typer

from harmonic.commands.completion import recipes as _names
from harmonic.commands.options import Json

recipes = typer.Typer(
    help="List the training recipes that come with the package, or show one.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@recipes.callback()
def _list(context: typer.Context, json: Json = False) -> None:
    """List the training recipes that come with the package, or show one with `harmonic recipes show NAME`.

    `harmonic train NAME` takes any of them, and `--set FIELD=VALUE` changes it.
    """
    if context.invoked_subcommand:
        return
    from rich.table import Table

    from harmonic.commands.values import print_json
    from harmonic.shown import show
    from harmonic.training import read_recipe, shipped

    rows = [(name, read_recipe(name)) for name in shipped()]
    if json:
        print_json([{"name": name, **recipe.model_dump(mode="json")} for name, recipe in rows])
        return
    table = Table("recipe", "what for", "architecture", "epochs", "batch")
    for name, recipe in rows:
        own = recipe.train
        table.add_row(name, recipe.title, recipe.model.architecture, f"{own.epochs:,}", f"{own.batch:,}")
    show(table)


@recipes.command("show", short_help="Print every field of a recipe, in TOML.")
def _show(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or a name of `harmonic recipes`.", autocompletion=_names)],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="As in `harmonic train`.")
    ] = None,
    json: Json = False,
) -> None:
    """Print every field of a recipe as it would be trained, defaults included, in TOML."""
    from harmonic.commands.values import print_json
    from harmonic.training import as_toml, read_recipe

    plan = read_recipe(recipe, changes or [])
    if json:
        print_json(plan.model_dump(mode="json"))
    else:
        typer.echo(as_toml(plan), nl=False)
