"""NVIDIA Triton reads our repositories: its configuration says what the manifests say, and its own core takes it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.protobuf import text_format

from export.manifest import read_manifest
from export.repository import model_names, versions
from tests.support.process import free_port
from tests.support.waiting import until

model_config = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="Triton's own client has its format")

MODELS = Path(__file__).parents[2] / "models"
NAMES = model_names(MODELS)
SERVER = os.environ.get("HARMONIC_TRITONSERVER") or shutil.which("tritonserver")


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_is_tritons_format_and_says_what_the_manifest_says(name):
    config = text_format.Parse((MODELS / name / "config.pbtxt").read_text(), model_config.ModelConfig())

    for version in versions(MODELS, name):
        manifest = read_manifest(MODELS / name / str(version))
        (taken,), (given,) = config.input, config.output
        kinds = {"uint8": model_config.TYPE_UINT8, "float32": model_config.TYPE_FP32}
        assert (config.name, config.platform) == (name, "onnxruntime_onnx")
        assert config.max_batch_size == manifest.max_batch
        assert (taken.name, taken.data_type) == (manifest.input, kinds[manifest.pixels.dtype.name])
        assert tuple(taken.dims) == manifest.pixels.shape
        assert (given.name, given.data_type) == (manifest.output, model_config.TYPE_FP32)
        assert tuple(given.dims) == (len(manifest.classes),)
        assert (MODELS / name / given.label_filename).read_text().splitlines() == list(manifest.classes)
        assert config.HasField("dynamic_batching")


def test_a_field_that_triton_does_not_know_would_be_found(tmp_path):
    with pytest.raises(text_format.ParseError, match="no field named"):
        text_format.Parse('name: "x" batching { }', model_config.ModelConfig())


@pytest.fixture(scope="module")
def triton(tmp_path_factory) -> Iterator[str]:
    """The real server over a copy of the shipped repository, and over one model that it must complain of."""
    if SERVER is None:
        pytest.skip("no tritonserver on the path, and none that HARMONIC_TRITONSERVER names")
    folder = tmp_path_factory.mktemp("triton")
    shutil.copytree(MODELS, folder / "models")
    shutil.copytree(MODELS / NAMES[0], folder / "models" / "faulty")
    (folder / "models" / "faulty" / "config.pbtxt").write_text('name: "faulty" batching { }')
    port = free_port()
    command = [
        *(SERVER, f"--model-repository={folder / 'models'}", "--model-control-mode=explicit"),
        *(f"--http-port={port}", "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: _lives(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_the_real_triton_lists_every_model(triton):
    index = httpx.post(f"{triton}/v2/repository/index").json()

    assert {entry["name"] for entry in index} == {*NAMES, "faulty"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_real_triton_reads_the_configuration_and_loads_or_lacks_the_backend_alone(triton, name):
    answer = httpx.post(f"{triton}/v2/repository/models/{name}/load", timeout=60)

    # Its core without the full image has no ONNX backend, which it looks for after it has read the configuration.
    assert answer.status_code == 200 or re.search(
        r"version \d+ is at UNAVAILABLE state: .*backend 'onnxruntime'", answer.text
    )


@pytest.mark.slow
def test_the_real_triton_complains_of_a_faulty_configuration(triton):
    answer = httpx.post(f"{triton}/v2/repository/models/faulty/load", timeout=60)

    assert answer.status_code != 200
    assert "onnxruntime" not in answer.text
