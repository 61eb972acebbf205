import json

import numpy as np
import pytest

from export.manifest import Variant
from export.repository import model_names
from service.config import Settings
from service.engine.catalog import BrokenVersion, Catalog, gather
from service.engine.loading import Loaded, Trial, facts_of
from service.engine.survey import Stock
from service.errors import ModelNotFound, NotReady, StartError
from service.runtime import CPU, Placement, place, read_devices

ON_CPU = Placement((CPU,), 1)


def loaded(root, **options) -> Catalog:
    return gather(map(facts_of, trials(root, **options)), None)


def trials(root, **options) -> list[Trial]:
    stock = Stock(Settings(repository=root, **options), ON_CPU)
    return [item.trial for name in model_names(root) for item in stock.survey(name, {}).values()]


def reason(root) -> str:
    (broken,) = loaded(root).broken
    assert isinstance(broken, BrokenVersion)
    return broken.reason


def test_a_sound_version_is_ready_and_gives_its_answers(publish, tmp_path):
    publish()
    (trial,) = trials(tmp_path / "models")
    assert isinstance(trial, Loaded)
    facts = trial.facts
    assert (facts.name, facts.version, facts.provider) == ("colours", 1, "CPUExecutionProvider")
    assert (facts.device, facts.gpus, facts.instances) == ("cpu", (), 1)
    blue = np.zeros((1, 8, 8, 3), np.uint8)
    blue[..., 2] = 255
    assert trial.sessions[0].run(blue).argmax() == 2


def test_golden_answers_beyond_the_tolerance_break_a_version(publish, tmp_path):
    publish(golden_shift=0.01)
    assert "golden" in reason(tmp_path / "models")


def test_golden_answers_within_the_tolerance_do_not(publish, tmp_path):
    publish(golden_shift=0.01, variants=(Variant(tolerance=0.02),))
    assert loaded(tmp_path / "models").ready


def test_a_changed_file_breaks_a_version(publish, tmp_path):
    graph = publish() / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    assert "SHA-256" in reason(tmp_path / "models")


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "manifest.json"])
def test_a_missing_file_breaks_a_version(publish, tmp_path, name):
    (publish() / name).unlink()
    assert name in reason(tmp_path / "models")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": 1}'])
def test_a_damaged_manifest_breaks_a_version(publish, tmp_path, text):
    (publish() / "manifest.json").write_text(text)
    assert "manifest.json" in reason(tmp_path / "models")


@pytest.mark.parametrize(("field", "value"), [("input", "pictures"), ("output", "scores")])
def test_a_graph_that_contradicts_its_manifest_breaks_a_version(publish, tmp_path, field, value):
    publish(**{field: value})
    assert value in reason(tmp_path / "models")


def test_a_version_made_for_another_device_is_left_out(publish, tmp_path):
    publish(variants=(Variant(devices=("cuda",)),))
    assert "made for cuda" in reason(tmp_path / "models")


def test_a_batch_is_never_larger_than_the_manifest_allows(publish, tmp_path):
    publish(max_batch=3)
    (entry,) = loaded(tmp_path / "models").ready
    assert entry.policy.max_size == 3


def test_one_broken_version_does_not_take_the_others_along(publish, tmp_path):
    publish("good")
    bad = publish("bad")
    manifest = json.loads((bad / "manifest.json").read_text())
    (bad / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 99}))
    catalog = loaded(tmp_path / "models")
    assert [entry.name for entry in catalog.ready] == ["good"]
    assert "schema 99" in catalog.broken[0].reason
    with pytest.raises(NotReady):
        catalog.find("bad", None)
    with pytest.raises(ModelNotFound):
        catalog.find("none", None)


def test_every_instance_has_a_session_of_its_own(publish, tmp_path):
    publish()
    (trial,) = trials(tmp_path / "models", instances=3)
    assert isinstance(trial, Loaded)
    assert len(set(map(id, trial.sessions))) == trial.facts.instances == 3


def test_cuda_that_is_not_there_is_refused_and_auto_takes_the_cpu(publish, tmp_path):
    from export.runtime import ort

    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(StartError, match="has no CUDA"):
        place(read_devices("cuda:1"), 1, None)
    assert place(read_devices("auto"), 3, None) == Placement((CPU,), 3)
