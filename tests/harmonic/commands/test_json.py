"""`--json`: one JSON value on stdout, whatever else a command says; the same figures as the text."""

import hashlib
import json
import shlex

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import RELEASES, Release, bundle
from harmonic.commands.values import print_json
from harmonic.graph import parameters
from tests.support.commands import RECIPE, harmonic
from tests.support.textures import write_textures


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder whose name has blanks, with images, a recipe and a run that was asked for as JSON."""
    base = tmp_path_factory.mktemp("json") / "my [red] photos; rm"
    write_textures(base / "images" / "train", classes=3, each=16, side=12)
    write_textures(base / "images" / "test", classes=3, each=4, seed=1, side=12)
    (base / "brief.toml").write_text(RECIPE)
    return base


def trained(base, *options):
    return harmonic("train", base / "brief.toml", "--data", base / "images", "--out", base / "run", *options)


def figures(*arguments):
    """The one JSON object of a command, whose text for people went to stderr."""
    ended = harmonic(*arguments, "--json")
    assert ended.exit_code == 0, (ended.output, ended.exception)
    assert len(ended.stdout.splitlines()) == 1
    return json.loads(ended.stdout), ended.stderr


@pytest.fixture(scope="module")
def run(base):
    return figures("train", base / "brief.toml", "--data", base / "images", "--out", base / "run")


def test_training_tells_its_figures(base, run):
    told, aside = run
    card = bundle.read_card(base / "run" / "bundle")
    assert told["bundle"] == str(base / "run" / "bundle")
    assert told["metrics"] == card.metrics
    assert told["architecture"] == "harm_wrn10_0.5"
    assert "epoch 1/1" in aside


def test_the_next_command_can_be_pasted_wherever_the_run_is(base, run, tmp_path):
    said = trained(base).stdout
    words = shlex.split(said.rsplit("Next: ", 1)[1])
    assert words == ["harmonic", "export", str(base / "run" / "bundle"), "--repository", "models", "--name", "NAME"]


def test_compressing_tells_its_levels_and_costs(base, run):
    options = ("--data", base / "images", "--budget", "params=0.7", "--images", 12, "--no-latency")
    told, aside = figures("compress", base / "run" / "bundle", *options, "--out", base / "small")
    assert told["bundle"] == str(base / "small")
    assert told["parameters"][1] == parameters(bundle.load(base / "small").model) < told["parameters"][0]
    sets = [kept for kept in told["levels"].values() if isinstance(kept, dict)]
    assert all(0 < kept["filters"] < kept["of"] == 9 for kept in sets)
    assert sets
    assert "Chosen frequencies" in aside


def test_compressing_by_levels_tells_those(base, run):
    options = ("--data", base / "images", "--budget", "params=0.7", "--images", 12, "--out", base / "levelled")
    told, _ = figures("compress", base / "run" / "bundle", *options, "--sets", "levels")
    assert set(told["levels"].values()) <= {None, 1, 2, 3, 4}


def test_converting_tells_every_layer(base, run):
    told, aside = figures("convert", base / "run" / "bundle", "--levels", "2", "--out", base / "cut")
    assert told["architecture"] == "harm_wrn10_0.5"
    assert {tuple(layer["filters"]) for layer in told["layers"]} == {(9, 9), (3, 9)}
    assert told["skipped"] == {}
    assert "Conversion" in aside


def test_importing_and_pulling_tell_the_bundle(base, monkeypatch):
    torch.save(zoo.create("wrn10_0.5", 4).state_dict(), base / "net.pth")
    told, _ = figures("import", base / "net.pth", "--architecture", "wrn10_0.5", "--out", base / "imported")
    assert told["classes"] == ["0", "1", "2", "3"]
    content = (base / "net.pth").read_bytes()
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (base / name).write_bytes(content)
    monkeypatch.setenv("HARMONIC_CACHE", str(base))
    monkeypatch.setitem(RELEASES, "tiny", Release(name, "wrn10_0.5"))
    assert figures("pull", "tiny")[0] == {"bundle": None, "file": str(base / name)}
    told, _ = figures("pull", "tiny", "--out", base / "pulled")
    assert (told["bundle"], told["file"]) == (str(base / "pulled"), str(base / name))


def test_exporting_tells_the_version_and_its_parity(base, run):
    options = ("--repository", base / "models", "--name", "textures", "--max-batch", 4)
    told, aside = figures("export", base / "run" / "bundle", *options)
    assert (told["name"], told["version"], told["stem"]) == ("textures", 1, "folded")
    assert told["parity"]["batches"] == [1, 2, 4]
    assert told["parity"]["top1_agreement"] == 1
    assert "Published" in aside
    words = shlex.split(aside.rsplit("Next: ", 1)[1])
    assert words == ["harmonic", "serve", "--repository", str(base / "models"), "--default-model", "textures"]


def test_a_figure_that_is_no_number_is_null(capsys):
    print_json({"auc": float("nan"), "levels": (None, 3), "worst": [float("inf"), 0.5]})
    assert capsys.readouterr().out == '{"auc": null, "levels": [null, 3], "worst": [null, 0.5]}\n'


def test_an_error_leaves_stdout_empty(base, tmp_path):
    ended = harmonic("train", "no-such", "--data", base / "images", "--json")
    assert ended.stdout == ""
    assert "no such recipe" in str(ended.exception)


@pytest.mark.parametrize("accelerator", ["tpu", "hpu", "cuda:1"])
def test_an_accelerator_that_is_none_is_told_with_the_choice(base, accelerator):
    ended = trained(base, "--accelerator", accelerator)
    assert ended.exit_code == 2
    assert "auto" in ended.stderr
    assert "gpu" in ended.stderr
    assert "package" not in ended.stderr
