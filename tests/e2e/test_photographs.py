"""A converted ImageNet network through the service, beside torchvision's own network and transforms, on photographs."""

import io
import os
import zipfile
from pathlib import Path

import httpx
import pytest
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from tests.support.forks import run
from tests.support.process import serving

DATA = Path(os.environ.get("HARMONIC_DATA", "/nonexistent"))
WEIGHTS, PHOTOGRAPHS = DATA / "weights" / "squeezenet1_0.pth", DATA / "imagenet-sample-100.zip"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not WEIGHTS.is_file() or not PHOTOGRAPHS.is_file(), reason=f"needs {WEIGHTS} and {PHOTOGRAPHS}"),
]


def _theirs(content: bytes, network: torch.nn.Module) -> int:
    steps = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with Image.open(io.BytesIO(content)) as image, torch.no_grad():
        return int(network(steps(image.convert("RGB"))[None]).argmax())


@pytest.mark.slow
def test_a_converted_squeezenet_serves_torchvisions_answer_to_every_photograph(tmp_path: Path) -> None:
    network = torchvision.models.squeezenet1_0()
    network.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        photographs = [archive.read(name) for name in sorted(archive.namelist())]
    expected = [_theirs(content, network.eval()) for content in photographs]
    for command in (
        ("convert", "torchvision/squeezenet1_0", "--weights", WEIGHTS, "--out", tmp_path / "bundle"),
        ("export", tmp_path / "bundle", "--repository", tmp_path / "models", "--name", "squeezenet", "--max-batch", 8),
    ):
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr
    with serving(tmp_path / "models") as (url, _), httpx.Client(base_url=url, timeout=60) as client:
        answers = [client.post("/v1/classify", content=content, params={"top_k": 1}).json() for content in photographs]
    assert [answer["predictions"][0]["classes"][0]["index"] for answer in answers] == expected
    assert len(expected) == 100
