"""Flags are the settings that are marked so, and the settings are loaded only when flags are wanted."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from harmonic.cli import build_app
from service.config import Settings
from service.flags import FlagsOfAddress, FlagsOfSettings, flag_names, shown_default

FLAGS = {name: field for name, field in Settings.model_fields.items() if flag_names(name, field)}


def test_serve_has_every_setting_that_is_marked_as_a_flag_and_no_other():
    assert [option.name for option in FlagsOfSettings("serve").params] == list(FLAGS)
    assert {"repository", "port", "max_batch", "access_log"} <= set(FLAGS)
    assert "body_bytes" not in FLAGS


def test_health_has_those_that_say_where_the_service_listens():
    assert {option.name for option in FlagsOfAddress("health").params} == {"host", "port", "tls_cert", "tls_key"}


def test_help_shows_meaning_and_default_of_each_without_markdown_in_80_columns():
    shown = CliRunner().invoke(build_app(), ["serve", "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    for name, field in FLAGS.items():
        assert flag_names(name, field)[0] in words
        assert f"[default: ({shown_default(name, field)})]" in words, name
    assert "First layer: auto as each version's manifest says, folded, or native in PyTorch. [default: (auto)]" in words
    assert "](" not in words


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--port", "9000"], {"port": 9000}),
        (["--window-ms", "1.5", "--max-batch=8"], {"window_ms": 1.5, "max_batch": 8}),
        (["--access-log"], {"access_log": True}),
        (["--no-access-log"], {"access_log": False}),
        (["--versions", "1,3"], {"versions": "1,3"}),
        ([], {}),
    ],
)
def test_words_become_settings_of_their_kinds(words, wanted):
    given = FlagsOfSettings("serve").make_context("serve", words).params
    assert {name: value for name, value in given.items() if value is not None} == wanted


@pytest.mark.parametrize("words", [["--port", "many"], ["--prot", "1"], ["--body-bytes", "1"], ["extra"]])
def test_words_that_are_no_flags_are_refused(words):
    done = CliRunner().invoke(build_app(), ["serve", *words])
    assert done.exit_code == 2
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("body_bytes", "32 MiB"),
        ("head_bytes", "32 KiB"),
        ("decoded_bytes", "1 GiB"),
        ("gpu_memory_bytes", "all"),
        ("nhwc", "no"),
        ("window_ms", "0"),
        ("cors_origins", "[]"),
        ("policies", "{}"),
        ("default_model", "the only one"),
        ("keys_file", "none"),
    ],
)
def test_defaults_are_shown_for_people(name, shown):
    assert shown_default(name, Settings.model_fields[name]) == shown


def test_the_settings_are_not_loaded_before_flags_are_wanted():
    code = "import sys, harmonic.cli; harmonic.cli.build_app(); print('pydantic' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    assert issubclass(FlagsOfSettings, typer.core.TyperCommand)
