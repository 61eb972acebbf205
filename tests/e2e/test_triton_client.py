"""Triton's own HTTP client, unmodified, against the service as a process of its own."""

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.colours import CLASSES, publish_colours
from tests.support.images import COLOURS, plain
from tests.support.process import serving

triton = pytest.importorskip("tritonclient.http")
from tritonclient.utils import InferenceServerException  # noqa: E402

COLOUR_NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("models")
    publish_colours(root)
    publish_colours(root)
    publish_colours(root, "other")
    with serving(root, priority_levels="3", max_batch="16") as (url, _):
        yield url.removeprefix("http://")


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address, concurrency=4) as opened:
        yield opened


def pixels(*colours: str) -> np.ndarray:
    return np.stack([np.full((8, 8, 3), COLOURS[colour], np.uint8) for colour in colours])


def images(array: np.ndarray, binary: bool = True) -> Any:
    tensor = triton.InferInput("images", list(array.shape), "UINT8")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def files(*encoded: bytes) -> Any:
    tensor = triton.InferInput("image_bytes", [len(encoded)], "BYTES")
    tensor.set_data_from_numpy(np.array(encoded, dtype=object))
    return tensor


def labels(result: Any) -> list[str]:
    return [CLASSES[index] for index in result.as_numpy("logits").argmax(axis=1)]


def test_it_is_alive_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("colours")
    assert client.is_model_ready("colours", "1")
    assert not client.is_model_ready("colours", "9")
    assert not client.is_model_ready("none")


def test_metadata_name_the_extensions_and_the_tensors(client):
    server = client.get_server_metadata()
    assert server["name"] == "harmonic"
    assert {"binary_tensor_data", "classification", "statistics", "model_repository"} <= set(server["extensions"])
    model = client.get_model_metadata("colours")
    assert model["versions"] == ["1", "2"]
    assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}]
    assert model["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}]
    assert client.get_model_metadata("colours", "1")["name"] == "colours"


def test_configuration_speaks_of_batches_and_priorities(client):
    config = client.get_model_config("colours", "2")
    assert (config["name"], config["max_batch_size"]) == ("colours", 16)
    assert config["dynamic_batching"]["priority_levels"] == 3
    assert config["input"] == [{"name": "images", "data_type": "TYPE_UINT8", "dims": [8, 8, 3]}]


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("wanted", [True, False, None])
def test_tensors_go_in_and_out_as_binary_and_as_json(client, sent, wanted):
    outputs = None if wanted is None else [triton.InferRequestedOutput("logits", binary_data=wanted)]
    result = client.infer("colours", [images(pixels("blue", "red"), sent)], outputs=outputs, request_id="seven")
    assert labels(result) == ["blue", "red"]
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("seven", "colours", "2")
    assert result.get_output("logits")["shape"] == [2, 3]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_requests_are_inflated_and_compressed_answers_may_be_asked_for(client, coding):
    result = client.infer(
        "colours",
        [images(pixels("green"))],
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert labels(result) == ["green"]


@pytest.mark.parametrize("binary", [True, False])
def test_classes_come_as_value_index_and_label(client, binary):
    wanted = triton.InferRequestedOutput("logits", binary_data=binary, class_count=2)
    result = client.infer("colours", [images(pixels("green", "blue"))], outputs=[wanted])
    texts = result.as_numpy("logits")
    assert texts.shape == (2, 2)
    best = [text.decode() if isinstance(text, bytes) else text for text in texts[:, 0]]
    assert best == ["8.000000:1:green", "8.000000:2:blue"]


def test_more_classes_than_there_are_means_all(client):
    wanted = triton.InferRequestedOutput("logits", class_count=99)
    assert client.infer("colours", [images(pixels("red"))], outputs=[wanted]).as_numpy("logits").shape == (1, 3)


def test_encoded_images_are_decoded_by_the_server(client):
    result = client.infer("colours", [files(plain("blue", (30, 20), "JPEG"), plain("red"))])
    assert labels(result) == ["blue", "red"]


def test_a_version_may_be_named(client):
    result = client.infer("colours", [images(pixels("red"))], model_version="1")
    assert result.get_response()["model_version"] == "1"


def test_priority_timeout_and_parameters_of_ones_own_are_taken(client):
    result = client.infer(
        "colours", [images(pixels("red"))], priority=1, timeout=10_000_000, parameters={"trace": "x", "level": 3}
    )
    assert labels(result) == ["red"]


def test_a_timeout_that_passes_is_a_504(client):
    refused(client, "504", "colours", [images(pixels("red"))], timeout=1)


def test_many_at_once_are_answered_each_with_its_own(address):
    with triton.InferenceServerClient(address, concurrency=8) as client:
        names = [COLOUR_NAMES[number % 3] for number in range(60)]
        waiting = [client.async_infer("colours", [images(pixels(name))], request_id=name) for name in names]
        answers = [(labels(one), one.get_response()["id"]) for one in (each.get_result() for each in waiting)]
        assert answers == [([name], name) for name in names]


def test_bodies_may_be_made_and_read_apart_from_the_call(client, address):
    import httpx

    body, head = triton.InferenceServerClient.generate_request_body([images(pixels("green"))])
    response = httpx.post(
        f"http://{address}/v2/models/colours/infer",
        content=body,
        headers={"Inference-Header-Content-Length": str(head)},
    )
    length = int(response.headers["Inference-Header-Content-Length"])
    assert labels(triton.InferenceServerClient.parse_response_body(response.content, header_length=length)) == ["green"]


def test_statistics_count_requests_images_and_batches(address, tmp_path):
    publish_colours(tmp_path / "models")
    with (
        serving(tmp_path / "models", window_ms="5") as (url, _),
        triton.InferenceServerClient(url.removeprefix("http://"), concurrency=6) as client,
    ):
        waiting = [client.async_infer("colours", [images(pixels("red", "blue"))]) for _ in range(12)]
        assert all(labels(each.get_result()) == ["red", "blue"] for each in waiting)
        refused(client, "400", "colours", [images(np.zeros((1, 4, 4, 3), np.uint8))])
        (figures,) = client.get_inference_statistics()["model_stats"]
        assert figures == client.get_inference_statistics("colours", "1")["model_stats"][0]
    assert (figures["name"], figures["version"], figures["inference_count"]) == ("colours", "1", 24)
    assert 0 < figures["execution_count"] <= 12
    assert figures["last_inference"] > 1.7e12
    stages = figures["inference_stats"]
    for stage in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert stages[stage]["count"] == 12, stage
    assert (stages["fail"]["count"], stages["cache_hit"]["count"], stages["cache_miss"]["count"]) == (1, 0, 0)
    assert stages["success"]["ns"] >= stages["queue"]["ns"] + stages["compute_infer"]["ns"] > 0
    batches = figures["batch_stats"]
    assert sum(batch["batch_size"] * batch["compute_infer"]["count"] for batch in batches) == 24
    assert sum(batch["compute_infer"]["count"] for batch in batches) == figures["execution_count"]


def test_the_index_lists_every_version(client):
    index = {(entry["name"], entry["version"]): entry["state"] for entry in client.get_model_repository_index()}
    assert index == {("colours", "1"): "READY", ("colours", "2"): "READY", ("other", "1"): "READY"}


def test_models_are_not_loaded_or_unloaded_unless_that_was_allowed(client):
    for ask in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="explicit") as refusal:
            ask("colours")
        assert refusal.value.status() == "400"
    assert client.is_model_ready("colours")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get_trace_settings(),
        lambda client: client.update_trace_settings("colours", settings={}),
        lambda client: client.get_log_settings(),
        lambda client: client.update_log_settings({}),
        lambda client: client.get_system_shared_memory_status(),
        lambda client: client.get_cuda_shared_memory_status(),
        lambda client: client.unregister_system_shared_memory("none"),
    ],
)
def test_what_is_not_there_is_refused_with_a_message(client, ask):
    with pytest.raises(InferenceServerException) as refusal:
        ask(client)
    assert refusal.value.status() == "404"
    assert "v2" in refusal.value.message()


def refused(client: Any, status: str, model: str, inputs: list[Any], **options: Any) -> str:
    with pytest.raises(InferenceServerException) as refusal:
        client.infer(model, inputs, **options)
    assert refusal.value.status() == status, refusal.value
    return str(refusal.value.message())


def test_errors_carry_their_status_and_a_message(client):
    assert "no model" in refused(client, "404", "none", [images(pixels("red"))])
    assert "no version" in refused(client, "404", "colours", [images(pixels("red"))], model_version="9")
    assert "shape" in refused(client, "400", "colours", [images(np.zeros((1, 9, 8, 3), np.uint8))])
    assert "17 images" in refused(client, "400", "colours", [images(np.zeros((17, 8, 8, 3), np.uint8))])
    assert "image 2 of 2" in refused(client, "400", "colours", [files(plain(), b"no image")])
    wrong = triton.InferInput("images", [1, 8, 8, 3], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 8, 8, 3), np.float32))
    assert "UINT8" in refused(client, "400", "colours", [wrong])
    other = triton.InferRequestedOutput("scores")
    assert "scores" in refused(client, "400", "colours", [images(pixels("red"))], outputs=[other])
    shared = triton.InferRequestedOutput("logits")
    shared.set_shared_memory("region", 12)
    assert "shared memory" in refused(client, "400", "colours", [images(pixels("red"))], outputs=[shared])


def test_threads_with_clients_of_their_own_are_served_side_by_side(address):
    def story(number: int) -> list[str]:
        with triton.InferenceServerClient(address) as client:
            return labels(client.infer("other", [images(pixels(COLOUR_NAMES[number % 3]))]))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(story, range(24))) == [[COLOUR_NAMES[number % 3]] for number in range(24)]


def test_the_address_may_have_no_default_model(tmp_path: Path):
    publish_colours(tmp_path / "models", "one")
    publish_colours(tmp_path / "models", "two")
    with serving(tmp_path / "models") as (url, _), triton.InferenceServerClient(url.removeprefix("http://")) as client:
        assert client.is_server_ready()
        assert labels(client.infer("two", [images(pixels("red"))])) == ["red"]
