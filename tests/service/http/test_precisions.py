"""A version in several precisions: which one answers, and how another is asked for."""

from pathlib import Path
from typing import Any

import pytest

from export.manifest import MANIFEST
from export.processor import multiplies_int8
from service.engine import Catalog
from tests.support.app import Client, refused, serving
from tests.support.colours import publish_colours, publish_in_two_precisions
from tests.support.images import plain

ON_CPU = {"device": "cpu", "instances": 1}
BOTH = {"precision": "int8,fp32", **ON_CPU}
FAST_INT8 = "int8" if multiplies_int8() else "fp32"  # what `auto` makes of it


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish_in_two_precisions(tmp_path / "models")
    return tmp_path / "models"


async def asked(client: Client, name: str = "colours") -> tuple[str, str, float]:
    """Name and precision that an answer tells, and how sure of red the model is."""
    response = await client.post(f"/v1/models/{name}/classify", content=plain("red"))
    assert response.status_code == 200, response.text
    told = response.json()
    precision = told.get("precision", "fp32")
    assert response.headers.get("Harmonic-Precision", "fp32") == precision
    (first, *_) = told["predictions"][0]["classes"]
    assert first["label"] == "red"
    return told["model"], precision, first["probability"]


async def test_the_fastest_for_this_processor_answers_who_asks_for_none(models: Path) -> None:
    async with serving(models, **ON_CPU) as (client, _):
        assert (await asked(client))[1] == FAST_INT8
        (version,) = (await client.get("/v1/models/colours")).json()["versions"]
        assert version["precision"] == FAST_INT8
        assert [one["name"] for one in version["variants"]] == ["default", "int8"]
        assert version["variants"][1]["measured"]["speedup"] == 2.0


async def test_both_may_be_loaded_and_asked_for_by_name(models: Path) -> None:
    async with serving(models, **BOTH) as (client, engine):
        name, precision, unsure = await asked(client)
        assert (name, precision) == ("colours", "int8")
        assert await asked(client, "colours:int8") == (name, precision, unsure)
        name, precision, sure = await asked(client, "colours:fp32")
        assert (name, precision) == ("colours:fp32", "fp32")
        assert await asked(client, "colours%3Afp32") == (name, precision, sure)  # as browsers write it
        assert sure > unsure
        catalog: Catalog = engine.describe()
        assert (catalog.default, catalog.names()) == ("colours", ["colours", "colours:fp32"])
        assert (await client.post("/v1/classify", content=plain("red"))).json()["precision"] == "int8"
        for name in ("colours", "colours:int8", "colours:fp32"):
            (version,) = (await client.get(f"/v1/models/{name}")).json()["versions"]
            assert version["precision"] == (name.partition(":")[2] or "int8")


async def test_the_inference_protocol_asks_by_the_same_names(models: Path) -> None:
    images = {"name": "images", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": [200] * 64 + [10] * 128}
    async with serving(models, **BOTH) as (client, _):
        logits = {}
        for name in ("colours:int8", "colours:fp32"):
            response = await client.post(f"/v2/models/{name}/infer", json={"inputs": [images]})
            assert response.status_code == 200, response.text
            logits[name] = response.json()["outputs"][0]["data"]
            config = (await client.get(f"/v2/models/{name}/config")).json()
            assert config["parameters"]["precision"]["string_value"] == name.partition(":")[2]
        assert logits["colours:fp32"] == pytest.approx([2 * logit for logit in logits["colours:int8"]])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("colours:int8", "it has int8, which the setting precision loads"),
        ("colours:fp16", "model 'colours' answers as colours:fp32 and not in 'fp16'"),
        ("shapes:int8", "there is no model 'shapes:int8'"),
    ],
)
async def test_what_is_not_loaded_is_refused_with_what_is(models: Path, name: str, says: str) -> None:
    async with serving(models, precision="fp32", **ON_CPU) as (client, _):
        response = await client.post(f"/v1/models/{name}/classify", content=plain("red"))
        assert says in refused(response, 404, "model_not_found")


async def test_a_precision_that_does_not_hold_leaves_its_place_only_where_nobody_asked_for_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    publish_in_two_precisions(models, golden_shift=0.5)
    async with serving(models, **ON_CPU) as (client, _):
        assert (await asked(client))[1] == "fp32"
    async with serving(models, precision="int8", **ON_CPU) as (client, _):
        response = await client.post("/v1/classify", content=plain("red"))
        refused(response, 503, "not_ready")
        (version,) = (await client.get("/v1/models/colours")).json()["versions"]
        assert "golden answers differ" in version["reason"]


@pytest.mark.parametrize("precision", ["auto", "fp32"])
@pytest.mark.parametrize(("golden_shift", "runs"), [(0.0, "cpu"), (0.5, "default")])
async def test_a_float32_graph_for_cpus_leaves_its_place_where_it_does_not_hold(
    tmp_path: Path, precision: str, golden_shift: float, runs: str
) -> None:
    version = publish_in_two_precisions(tmp_path / "models", golden_shift=golden_shift)
    written = (version / MANIFEST).read_text()
    (version / MANIFEST).write_text(
        written.replace('"name":"int8"', '"name":"cpu"').replace('"precision":"int8"', '"precision":"fp32"')
    )
    async with serving(tmp_path / "models", precision=precision, **ON_CPU) as (client, _):
        assert (await asked(client))[1] == "fp32"
        (told,) = (await client.get("/v1/models/colours")).json()["versions"]
        assert (told["variant"], told["precision"]) == (runs, "fp32")


async def test_versions_with_and_without_int8_live_side_by_side(models: Path) -> None:
    publish_colours(models)
    async with serving(models, **BOTH) as (client, _):
        assert (await client.post("/v1/classify", content=plain("red"))).json()["version"] == 2
        by_name: dict[str, Any] = {
            name: (await client.post(f"/v1/models/{name}/classify", content=plain("red"))).json()["version"]
            for name in ("colours", "colours:int8", "colours:fp32")
        }
        assert by_name == {"colours": 2, "colours:int8": 1, "colours:fp32": 2}


async def test_unloading_a_model_takes_every_precision_with_it(models: Path) -> None:
    publish_colours(models, "other")
    control = {"model_control": "explicit", "load_models": "*", **BOTH}
    async with serving(models, **control) as (client, engine):
        await asked(client, "colours:fp32")
        assert (await client.post("/v2/repository/models/colours/unload")).status_code == 200
        assert engine.describe().names() == ["other"]
        assert (await client.post("/v1/models/colours:fp32/classify", content=plain("red"))).status_code == 404
        assert (await client.post("/v2/repository/models/colours/load")).status_code == 200
        assert (await asked(client, "colours:fp32"))[1] == "fp32"


async def test_a_models_own_file_says_which_precision(models: Path) -> None:
    (models / "colours" / "config.toml").write_text('precision = "fp32,int8"\n')
    async with serving(models, **ON_CPU) as (client, _):
        assert (await asked(client))[1] == "fp32"
        assert (await asked(client, "colours:int8"))[1] == "int8"
        card = await client.get("/v1/models/colours:int8/versions/1/card")
        assert card.status_code == 404
        assert "MODEL_CARD.md" in card.text
