import re
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from harmonic import __version__
from harmonic.cli import build_app, main

COMMANDS = typer.main.get_command(build_app()).commands


def test_every_command_of_this_package_is_there_and_helps():
    app = build_app()
    for name in ("train", "evaluate", "models"):
        ended = CliRunner().invoke(app, [name, "--help"])
        assert ended.exit_code == 0
        assert "Usage" in ended.output


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_whole_on_narrow_terminals(monkeypatch, columns, name):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = CliRunner().invoke(build_app(), [*name.split(), "--help"], terminal_width=columns).output
    assert all(len(line) <= columns for line in shown.splitlines())
    assert "…" not in shown
    assert not re.search(r"[a-z]\.\.\.$", shown, re.MULTILINE)  # a text that was cut
    flags = [flag for parameter in getattr(COMMANDS.get(name), "params", []) for flag in parameter.opts]
    assert [flag for flag in flags if flag.startswith("--") and not re.search(rf"{flag}(?![a-z-])", shown)] == []


def test_the_list_of_commands_says_what_each_does():
    shown = "".join(CliRunner().invoke(build_app(), ["--help"]).output.split())
    for name, command in COMMANDS.items():
        assert name + "".join(command.short_help.split()) in shown
        assert command.short_help.endswith(".")


def test_the_version_is_the_packages():
    assert CliRunner().invoke(build_app(), ["--version"]).stdout.strip() == f"harmonic {__version__}"


def test_an_expected_error_is_one_message_and_status_two(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["harmonic", "train", "no[red]-such", "--data", "."])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("harmonic: no[red]-such: no such recipe")
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
