"""The shell completes commands, flags, architectures and recipes, and does not wait for torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harmonic import zoo
from harmonic.commands.completion import ARCHITECTURES
from harmonic.training import shipped
from tests.support.commands import harmonic
from tests.support.forks import run

PROGRAM = str(Path(sys.executable).with_name("harmonic"))


def offered(*words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    typed = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1), "_HARMONIC_COMPLETE": "complete_bash"}
    with pytest.MonkeyPatch.context() as shell:
        for name, value in typed.items():
            shell.setenv(name, value)
        ended = run()
    assert "Traceback" not in ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["tra"], ["tradeoff", "train"]),
        (["train", "--thr"], ["--threads"]),
        (["train", "--accelerator", "g"], ["gpu"]),
        (["export", "--stem", "na"], ["native"]),
        (["train", "cifar10-harm-"], [name for name in shipped() if name.startswith("cifar10-harm-")]),
        (["convert", "harm_wrn28"], ["harm_wrn28_10"]),
        (["import", "x.pth", "--architecture", "harm_resnet1"], ["harm_resnet18", "harm_resnet101", "harm_resnet152"]),
        (["pull", "se_"], ["se_resnext101_32x4d"]),
        (["train", "my-own/rec"], []),
        (["export", "runs/"], []),
    ],
)
def test_names_are_completed_and_paths_are_left_to_the_shell(words, wanted):
    assert offered("harmonic", *words) == wanted


def test_the_names_are_those_of_the_zoo():
    assert sorted(ARCHITECTURES) == sorted(zoo.listed_names())


@pytest.mark.parametrize("words", [["ser"], ["convert", "harm"], ["train", "cifar"]])
def test_completing_loads_no_torch(words):
    code = "import sys, runpy, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    typed = {"COMP_WORDS": " ".join(["harmonic", *words]), "COMP_CWORD": str(len(words))}
    ended = subprocess.run(
        [sys.executable, "-c", code, PROGRAM], env={**os.environ, **typed, "_HARMONIC_COMPLETE": "complete_bash"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout.split()
    assert "harmonic.commands" in ended.stderr.split()
    assert not {"torch", "timm", "torchvision", "onnx", "onnxruntime", "lightning"} & set(ended.stderr.split())


def test_the_command_installs_it():
    shown = harmonic("--help").stdout
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
def test_the_script_for_bash_completes():
    script = subprocess.run(
        [PROGRAM], env={**os.environ, "_HARMONIC_COMPLETE": "source_bash"}, capture_output=True, text=True, check=True
    ).stdout
    typed = f"{script}\nCOMP_WORDS=({PROGRAM} ev)\nCOMP_CWORD=1\n_harmonic_completion {PROGRAM}\necho ${{COMPREPLY[@]}}"
    ended = subprocess.run(
        ["/bin/bash", "--norc", "-c", typed], capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.split() == ["evaluate"]
