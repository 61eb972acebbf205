"""Nothing here calls home: no connection is opened, no name is asked for, no device gets an identity.

ONNX Runtime's wheels carry their maker's telemetry, in native code and on by default, and FastAPI an exporter that the
environment can turn on. So the commands run where the kernel ends them at the first attempt, for as long as a bare ONNX
Runtime takes to make one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import torch

from export.runtime import ort
from harmonic import zoo
from harmonic.bundles.bundle import Bundle, Card, save
from harmonic.pixels import PixelSpec
from tests.support import sealed
from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import HARMONIC, PATIENCE_S, address

SEAL = [sys.executable, str(Path(sealed.__file__))]
ENDED = -signal.SIGSYS
HOLD = "import sys; from harmonic.cli import main\ntry: main()\nfinally: print('done', flush=True); sys.stdin.read()"
BARE = "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1]); sys.stdin.read()"

pytestmark = pytest.mark.skipif(not sealed.possible(), reason="needs Linux's seccomp on x86-64 or arm64")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


@contextmanager
def running(home: Path, role: str, *command: object, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """A sealed process with an empty home of its own, killed at the end.

    Of the environment it has the search path alone: where CI or another builder's variable is set, ONNX Runtime's
    telemetry is quiet by itself, and the test would see nothing.
    """
    home.mkdir(exist_ok=True)
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")} | more
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*SEAL, role, *map(str, command)], env=surroundings, text=True, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def left_in(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def wait_for_a_bare_runtime_to_call_home(model: Path, home: Path) -> None:
    """Start ONNX Runtime as anybody would, and wait until it was ended for it."""
    with running(home, "client", sys.executable, "-c", BARE, model) as bare:
        assert bare.wait(PATIENCE_S) == ENDED
    assert "deviceid" in " ".join(left_in(home))


carries_telemetry = pytest.mark.skipif(
    not any(b"ORT_DISABLE_TELEMETRY" in file.read_bytes() for file in Path(ort.__file__).parent.glob("capi/*state*")),
    reason="this ONNX Runtime carries no telemetry",
)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(
    "attempt", ["socket.getaddrinfo('example.invalid', 80)", "socket.create_connection(('127.0.0.1', 9))"]
)
def test_the_seal_ends_whoever_asks_a_name_or_connects(tmp_path, role, attempt):
    with running(tmp_path / "home", role, sys.executable, "-c", f"import socket; {attempt}") as process:
        assert process.wait(PATIENCE_S) == ENDED


@carries_telemetry
def test_serving_exporting_evaluating_and_classifying_call_nobody(repository, tmp_path):
    torch.manual_seed(0)
    card = Card(architecture="harm_wrn10_0.5", classes=("cat", "dog"), pixels=PixelSpec(height=12, width=12))
    save(Bundle(card, zoo.create("harm_wrn10_0.5", 2)), tmp_path / "bundle")
    for colour in ("red", "green", "blue"):
        (tmp_path / "images" / colour).mkdir(parents=True)
        (tmp_path / "images" / colour / "one.png").write_bytes(plain(colour))
    commands = [
        ("export", tmp_path / "bundle", "--repository", tmp_path / "exported", "--name", "pets"),
        ("evaluate", repository / "colours" / "1", "--data", tmp_path / "images"),
        ("classify", tmp_path / "images" / "red" / "one.png", "--repository", repository),
    ]
    homes = [tmp_path / f"home{number}" for number in range(len(commands))]
    served, serve = tmp_path / "served", [HARMONIC, "serve", "--repository", repository, "--port", 0]
    collector = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with ExitStack() as stack:
        server = stack.enter_context(running(served, "server", *serve, **collector))
        processes = [
            stack.enter_context(running(home, "client", sys.executable, "-c", HOLD, *command))
            for home, command in zip(homes, commands, strict=True)
        ]
        for process in processes:
            assert "done\n" in process.stdout, process.stderr.read()  # else it was ended before
        url = address(server)
        answer = httpx.post(f"{url}/v1/classify", content=plain("green"), timeout=PATIENCE_S)
        assert answer.json()["predictions"][0]["classes"][0]["label"] == "green"
        wait_for_a_bare_runtime_to_call_home(repository / "colours" / "1" / "model.onnx", tmp_path / "bare")
        for process in processes:
            assert process.poll() is None
            process.communicate(timeout=PATIENCE_S)  # closes what it waits for
            assert process.returncode == 0
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
        server.terminate()
        assert server.wait(PATIENCE_S) == 0
    assert left_in(served) == []
    assert [path for home in homes for path in left_in(home) if "deviceid" in path] == []


def test_who_wants_the_telemetry_may_have_it():
    """What the environment says of it is the operator's own word."""
    code = "import os; from export.runtime import ort; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, kept in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        free = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        shown = subprocess.check_output([sys.executable, "-c", code], env=free | given, text=True)
        assert shown.strip() == kept
