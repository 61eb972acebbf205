"""Addresses say where a store is, and never who asks."""

from pathlib import Path

import pytest

from export.errors import StoreError
from export.stores import copy_folder, is_address, read_address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("S3://bucket", "s3://bucket"),
        ("gs://bucket/a/b", "gs://bucket/a/b"),
        ("hf://org/name", "hf://org/name"),
        ("hf://org/name@v1.0", "hf://org/name@v1.0"),
        ("https://host:8443/models", "https://host:8443/models"),
    ],
)
def test_an_address_is_read_and_shown(text, shown):
    assert is_address(text)
    assert str(read_address(text)) == shown


@pytest.mark.parametrize("folder", ["models", "/srv/models", "./a:b", "C:\\models", ""])
def test_a_folder_is_no_address(folder):
    assert not is_address(folder)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:secret@host/models",
        "https://secret@host/models",
        "s3://key:secret@bucket/models",
        "https://host/models?X-Amz-Signature=secret",
        "https://host/models#secret",
        "s3://bucket/a::https://secret",
    ],
)
def test_an_address_with_credentials_is_refused_and_not_repeated(text):
    with pytest.raises(StoreError, match="come from the environment") as caught:
        read_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ftp://host/models", "wants the form s3://"),
        ("file:///srv/models", "a folder has no '://'"),
        ("s3://", "wants the form"),
        ("s3://bucket/../other", "has no '..'"),
        ("hf://name", "hf://ORGANISATION/NAME"),
        ("hf://org/name/deeper", "hf://ORGANISATION/NAME"),
        ("s3://bucket/a\nb", "wants neither"),
    ],
)
def test_an_impossible_address_is_refused_with_what_is_wanted(text, complaint):
    with pytest.raises(StoreError, match=complaint):
        read_address(text)


def test_every_address_has_a_copy_of_its_own_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HARMONIC_CACHE", str(tmp_path))
    one, other = copy_folder("s3://bucket/models"), copy_folder("s3://other/models")

    assert one.parent == other.parent == tmp_path / "repositories"
    assert one != other
    assert one.name.startswith("models-")
    assert copy_folder("s3://bucket/models/") == one


def test_without_a_folder_of_ones_own_the_copy_is_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("HARMONIC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")

    assert copy_folder("hf://org/name").parent == Path("/somewhere/harmonic/repositories")
