"""To the Hugging Face hub and back, by its own library: one commit or none, with the metadata that it reads."""

from pathlib import Path

import pytest
import yaml

from export.errors import RepositoryError, StoreAwayError
from export.manifest import MANIFEST, check_files, read_manifest
from export.stores import Store, open_store, publish, read_address
from export.stores.hub_card import hub_card
from tests.support.colours import publish_colours
from tests.support.hub import TOKEN, Hub
from tests.support.stores import mirror_of

NAME = "colourists/colours"


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield hub
    hub.close()


@pytest.fixture
def store(hub) -> Store:
    return open_store(read_address(f"hf://{NAME}"))


@pytest.fixture
def version(tmp_path) -> Path:
    test = {"source": "three colours", "images": 100, "top1": 0.97, "top5": 1.0}
    return publish_colours(tmp_path / "made", metrics={"test": test})


def test_a_version_goes_there_in_one_commit_and_comes_back(hub, store, version, tmp_path):
    assert publish(store, "colours", version) == 1
    assert len(hub.commits[NAME]) == 2
    assert hub.private[NAME]

    look = mirror_of(store, tmp_path / "copy").look()

    assert (look.brought, look.away) == ((("colours", 1),), "")
    check_files(tmp_path / "copy" / "colours" / "1", read_manifest(tmp_path / "copy" / "colours" / "1"))


def test_versions_count_up_and_are_never_overwritten(hub, store, version):
    assert [publish(store, "colours", version), publish(store, "colours", version)] == [1, 2]
    commits = len(hub.commits[NAME])

    with pytest.raises(RepositoryError, match="never overwritten"):
        publish(store, "colours", version, 2)
    assert len(hub.commits[NAME]) == commits


def test_of_two_publishers_the_later_takes_the_next_number(hub, store, version):
    publish(store, "colours", version)
    hub.meanwhile = [{f"colours/2/{MANIFEST}": b"somebody else's"}]

    assert publish(store, "colours", version) == 3
    assert hub.files(NAME)[f"colours/2/{MANIFEST}"] == b"somebody else's"


def test_the_card_has_the_metadata_that_the_hub_reads(hub, store, version):
    publish(store, "colours", version)

    _, written, text = hub.files(NAME)["README.md"].decode().split("---\n", 2)
    data = yaml.safe_load(written)
    assert data["license"] == "apache-2.0"
    assert data["pipeline_tag"] == "image-classification"
    assert data["library_name"] == "harmonic-inference"
    assert {"harmonic", "onnx"} <= set(data["tags"])
    (entry,) = data["model-index"]
    assert entry["name"] == "colours"
    (result,) = entry["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {"name": "three colours", "type": "three-colours"}
    assert {one["type"]: one["value"] for one in result["metrics"]} == {"accuracy": 0.97, "top_5_accuracy": 1.0}
    assert "# colours" in text


def test_a_card_of_ones_own_is_kept_and_ours_is_written_anew(hub, store, version):
    publish(store, "colours", version)
    ours = hub.files(NAME)["README.md"]
    hub.commits[NAME].append({**hub.files(NAME), "README.md": ours.replace(b"# colours", b"# old")})
    publish(store, "colours", version)
    assert hub.files(NAME)["README.md"] == ours

    hub.commits[NAME].append({**hub.files(NAME), "README.md": b"# my own\n"})
    publish(store, "colours", version)
    assert hub.files(NAME)["README.md"] == b"# my own\n"


@pytest.mark.parametrize(
    ("named", "lines"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("My own, 2026", {"license": "other", "license_name": "my-own-2026"}),
        (None, {}),
    ],
)
def test_a_licence_is_one_that_the_hub_knows_or_has_a_name_of_its_own(version, named, lines):
    manifest = read_manifest(version).model_copy(update={"license": named, "metrics": {}})

    data = yaml.safe_load(hub_card("colours", manifest, "text").split("---\n")[1])

    assert {key: value for key, value in data.items() if key.startswith("license")} == lines
    assert "model-index" not in data


def test_a_token_that_is_refused_is_in_no_error(hub, store, version, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another-secret")

    with pytest.raises(StoreAwayError, match="Nothing was published") as caught:
        publish(store, "colours", version)

    assert "401" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert hub.commits == {}


def test_a_repository_that_is_not_there_is_away(store, tmp_path):
    assert "has no models" in mirror_of(store, tmp_path / "copy").look().away
