"""Pictures laid out as people have them."""

import os
from pathlib import Path

import pytest

from tests.support.pictures import write_zip


@pytest.fixture(params=["folder", "zip"])
def source(request, tmp_path):
    """Lays members out as a folder or as a zip; every promise holds for both."""

    def lay_out(content):
        if request.param == "zip":
            return write_zip(tmp_path / "pictures.zip", content)
        for name, raw in content.items():
            path = tmp_path / "pictures" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        return tmp_path / "pictures"

    return lay_out


@pytest.fixture
def real():
    """Path of a file of the real data sets; skips where it is absent, and says which."""

    def find(name):
        root = os.environ.get("HARMONIC_DATA")
        if root is None:
            pytest.skip(f"HARMONIC_DATA is not set; wanted {name}")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"{path} is absent")
        return path

    return find
