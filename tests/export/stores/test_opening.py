"""A store is opened without asking anybody, and a library that is missing is named."""

import sys

import pytest

from export.errors import StoreError
from export.stores import open_store, read_address


@pytest.mark.parametrize("text", ["s3://bucket/models", "hf://org/name", "https://host/models", "memory://x"])
def test_opening_asks_nobody(text):
    assert str(open_store(read_address(text))) == text


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)

    with pytest.raises(StoreError, match=r"gcsfs is not installed.*harmonic-inference\[stores\]"):
        open_store(read_address("gs://bucket/models"))
