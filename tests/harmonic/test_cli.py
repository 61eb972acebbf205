import sys

import pytest
from typer.testing import CliRunner

from harmonic import __version__
from harmonic.cli import build_app, main


def test_every_command_of_this_package_is_there_and_helps():
    app = build_app()
    for name in ("train", "evaluate", "models"):
        ended = CliRunner().invoke(app, [name, "--help"])
        assert ended.exit_code == 0
        assert "Usage" in ended.output


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
