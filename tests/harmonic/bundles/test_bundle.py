import json
import os
import pickle
import resource
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harmonic import zoo
from harmonic.bundles import bundle, with_plans
from harmonic.conversion import LayerPlan, apply
from harmonic.errors import BundleError, HarmonicError
from harmonic.layers import BandSet
from harmonic.pixels import PixelSpec

PIXELS = PixelSpec(height=16, width=16)


@pytest.fixture
def made():
    torch.manual_seed(0)
    card = bundle.Card(
        architecture="harm_wrn10_1",
        arguments={"level": [None, 3, 2], "dropout": 0.1},
        classes=("cat", "Hund", "ねこ"),
        pixels=PIXELS,
        recipe={"title": "a recipe"},
        metrics={"test": {"source": "here", "top1": 0.5}},
        libraries=bundle.library_versions(),
        license="CC0-1.0",
        notice="made for a test",
    )
    return bundle.Bundle(card, zoo.create("harm_wrn10_1", 3, **card.arguments))


@pytest.fixture
def folder(made, tmp_path):
    bundle.save(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def edit(folder, **fields):
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_was_saved_comes_back_in_evaluation_mode(made, folder):
    loaded = bundle.load(folder)
    assert loaded.card == made.card.model_copy(update={"classes": made.card.classes})
    assert not loaded.model.training
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in made.model.state_dict().items())


def test_a_bundle_is_two_files_that_others_can_read(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "weights.safetensors"]
    assert json.loads((folder / "bundle.json").read_text())["classes"] == ["cat", "Hund", "ねこ"]
    assert "head.weight" in load_file(folder / "weights.safetensors")


def test_only_a_bundle_with_sets_of_bands_needs_the_newer_schema(made, folder, tmp_path):
    assert json.loads((folder / "bundle.json").read_text())["schema_version"] == 1
    layer = "groups.0.0.conv0"
    plan = LayerPlan(bands=BandSet(16 * 9, (0, 7, 143)))
    apply(made.model, {layer: plan})
    card = with_plans(made, {layer: plan}, {})
    bundle.save(bundle.Bundle(card, made.model), tmp_path / "set")
    assert json.loads((tmp_path / "set" / "bundle.json").read_text())["schema_version"] == 2
    loaded = bundle.load(tmp_path / "set").model
    assert loaded.get_submodule(layer).kept == plan.bands
    assert torch.equal(loaded.get_submodule(layer).weight, made.model.get_submodule(layer).weight)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_every_file_has_the_mode_that_the_umask_gives_a_plain_one(made, tmp_path, umask):
    before = os.umask(umask)
    try:
        bundle.save(made, tmp_path / "bundle")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "bundle").iterdir()}
    assert modes == dict.fromkeys(("bundle.json", "weights.safetensors"), 0o666 & ~umask)


def test_everything_is_on_disk_before_the_folder_has_its_name(made, tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def watched(descriptor):
        sync(descriptor)
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), (tmp_path / "bundle").exists()))

    monkeypatch.setattr(os, "fsync", watched)
    bundle.save(made, tmp_path / "bundle")
    before = {path.name for path, named in synced if not named}
    assert {"bundle.json", "weights.safetensors"} < before
    assert synced[-1] == (tmp_path, True)


def test_a_place_that_cannot_be_written_is_told(made, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match=r"bundle: cannot be written: .*Nothing was saved"):
        bundle.save(made, tmp_path / "file" / "bundle")


def test_a_disk_that_is_full_is_told_and_nothing_stays(made, tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(BundleError, match=r"bundle: cannot be written: .*Nothing was saved"):
            bundle.save(made, tmp_path / "bundle")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_saving_leaves_the_network_as_it_was(made, tmp_path):
    made.model.train()
    bundle.save(made, tmp_path / "bundle")
    assert made.model.training


def test_library_versions_say_what_shaped_the_weights():
    assert bundle.library_versions()["torch"] == torch.__version__.split("+")[0]


def test_a_folder_that_exists_is_never_overwritten(made, folder):
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(BundleError, match="exists already"):
        bundle.save(made, folder)
    assert (folder / "bundle.json").read_bytes() == before


def test_weights_that_are_not_finite_are_refused(made):
    state = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    state["head.bias"][1] = float("inf")
    with pytest.raises(BundleError, match=r"1 with values that are not finite: head\.bias"):
        bundle.load_strictly(made.model, state, source="here")


def test_a_newer_bundle_is_called_newer_and_not_damaged(folder):
    edit(folder, schema_version=3, colour="blue")
    with pytest.raises(BundleError, match=r"schema 3; this build reads 1 to 2\. It was saved by a newer version"):
        bundle.load(folder)


@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors"])
def test_a_missing_file_is_told_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        bundle.load(folder)


def test_a_folder_that_is_not_there_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="no bundle"):
        bundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_told(folder, share):
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BundleError, match=r"weights\.safetensors: damaged"):
        bundle.load(folder)


def test_weights_that_are_a_pickle_are_refused_and_never_run(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it_ran",))

    (folder / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BundleError, match="damaged"):
        bundle.load(folder)
    assert not (tmp_path / "it_ran").exists()


def test_tensors_that_are_missing_left_over_or_misshapen_are_all_named(folder):
    state = load_file(folder / "weights.safetensors")
    del state["norm.weight"]
    state["stranger"] = torch.zeros(1)
    state["head.bias"] = torch.zeros(4)
    save_file(state, folder / "weights.safetensors")
    with pytest.raises(BundleError, match=r"norm\.weight.*stranger.*head\.bias \(4,\), wanted \(3,\)"):
        bundle.load(folder)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda weight: weight.to(torch.int8), "torch.int8"),
        (lambda weight: weight.to(torch.complex64), "torch.complex64"),
        (lambda weight: weight.to_sparse(), "sparse_coo"),
        (lambda weight: weight.to("meta"), "without values"),
    ],
)
def test_weights_that_are_no_plain_numbers_are_told(spoil, kind):
    model = zoo.create("wrn10_1", 3)
    state = model.state_dict()
    state["head.weight"] = spoil(state["head.weight"])
    with pytest.raises(BundleError, match=rf"1 of the wrong kind: head\.weight .*{kind}.*, wanted torch\.float32"):
        bundle.load_strictly(model, state, source="a file")


def test_counters_may_be_averages_and_weights_may_be_short():
    model = zoo.create("wrn10_1", 3)
    state = {name: tensor.to(torch.float16) for name, tensor in model.state_dict().items()}
    bundle.load_strictly(model, state, source="a file")
    assert model.state_dict()["norm.num_batches_tracked"].dtype == torch.int64


def test_a_long_list_of_problems_is_cut():
    with pytest.raises(BundleError, match=r"and \d+ more"):
        bundle.load_strictly(zoo.create("wrn10_1", 3), {}, source="nothing")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"classes": 3}'])
def test_a_damaged_card_is_told(folder, content):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        bundle.load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": 3}, "schema 3; this build reads 1 to 2"),
        ({"stranger": 1}, "stranger"),
        ({"classes": ["only"]}, "classes"),
        ({"classes": ["cat", "cat", "dog"]}, "distinct"),
        ({"architecture": "vanished_net"}, "no architecture 'vanished_net'"),
        ({"arguments": {"levels": 3}}, "does not take"),
        ({"arguments": {"classes": 3}}, "the number of classes is no argument"),
        ({"arguments": {"name": "wrn10_1"}}, "does not take"),
        ({"arguments": {"spectrum": 3}}, "by name, not 3"),
        ({"arguments": {"level": 9}}, "level"),
        ({"pixels": {"height": 0, "width": 3}}, "pixels.height"),
    ],
)
def test_a_card_that_cannot_be_followed_is_told_with_its_file(folder, fields, message):
    edit(folder, **fields)
    with pytest.raises(BundleError, match=rf"bundle\.json: .*{message}"):
        bundle.load(folder)


def test_more_classes_than_weights_is_told(folder):
    edit(folder, classes=["a", "b", "c", "d"])
    with pytest.raises(BundleError, match=r"head\.weight \(3, 64\), wanted \(4, 64\)"):
        bundle.load(folder)


def test_every_bundle_error_is_a_harmonic_error():
    assert issubclass(BundleError, HarmonicError)


def test_a_network_on_another_dtype_is_saved_as_it_is(made, tmp_path):
    made.model.double()
    bundle.save(made, tmp_path / "bundle")
    assert load_file(tmp_path / "bundle" / "weights.safetensors")["head.weight"].dtype == torch.float64


def test_an_error_of_many_tensors_stays_readable():
    state = {name: value.new_zeros(7, *value.shape) for name, value in zoo.create("wrn16_2", 3).state_dict().items()}
    with pytest.raises(BundleError, match=r"of the wrong shape: .* and \d+ more") as raised:
        bundle.load_strictly(zoo.create("wrn16_2", 3), state, source="a file")
    assert len(str(raised.value)) < 600
