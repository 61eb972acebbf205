"""A version goes to the Hugging Face hub: one commit with all of its files, or none.

A repository there holds models as a folder does, NAME/VERSION/; its README.md is a model card with the hub's metadata.
Two publishers cannot mix: a commit names the one that it follows, and the hub refuses the later of two.
"""

import importlib
import os
from pathlib import Path
from typing import Any

from export.errors import RepositoryError, StoreAwayError
from export.manifest import CARD, MANIFEST, Manifest
from export.repository import as_versions
from export.stores.hub_card import hub_card, is_ours
from export.stores.reasons import reason
from export.stores.store import Store

_TRIES = 10
_README, _README_BYTES = "README.md", 2**20
_BESIDE = ("classes.txt", "config.pbtxt", "config.toml")


def endpoint() -> str | None:
    """Another hub than the public one, as its own library takes it from the environment."""
    return os.environ.get("HF_ENDPOINT") or None


def commit_version(store: Store, name: str, source: Path, manifest: Manifest, version: int | None) -> int:
    """Commit a version; returns its number. The repository is made, private, if there is none.

    Raises RepositoryError for a version that is there, StoreAwayError.
    """
    store.forget()
    hub: Any = importlib.import_module("huggingface_hub")
    api = hub.HfApi(endpoint=endpoint())
    repository, _, revision = store.address.place.partition("@")
    card = _readme(store, name, source, manifest)
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        for _ in range(_TRIES):
            head = api.repo_info(repository, revision=revision or None)
            number = _number(name, [one.rfilename for one in head.siblings], version, store)
            files = {**_files(name, source, manifest, number), **({_README: card} if card else {})}
            operations = [
                hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=what) for path, what in files.items()
            ]
            try:
                api.create_commit(
                    repository,
                    operations,
                    commit_message=f"Publish {name} version {number}",
                    revision=revision or None,
                    parent_commit=head.sha,
                )
            except hub.errors.HfHubHTTPError as error:
                if error.response.status_code != 412:  # somebody else has committed meanwhile
                    raise
            else:
                return number
    except RepositoryError:
        raise
    except Exception as error:  # the library may fail in any way
        raise StoreAwayError(f"{store} cannot be written: {reason(error)}. Nothing was published.") from None
    raise StoreAwayError(f"{store}: others committed at every one of {_TRIES} tries. Nothing was published.")


def _number(name: str, files: list[str], version: int | None, store: Store) -> int:
    there = as_versions(file.split("/")[1] for file in files if file.startswith(f"{name}/") and file.count("/") > 1)
    if version in there:
        raise RepositoryError(f"{store}: {name} version {version} exists already and is never overwritten.")
    return version or max(there, default=0) + 1


def _files(name: str, source: Path, manifest: Manifest, number: int) -> dict[str, str]:
    """What is committed, by its path there."""
    found = {f"{name}/{number}/{file}": source / file for file in (*sorted(manifest.files), MANIFEST)}
    beside = {f"{name}/{file}": source.parent / file for file in _BESIDE}
    found |= {path: file for path, file in beside.items() if file.is_file()}
    return {path: str(file) for path, file in found.items()}


def _readme(store: Store, name: str, source: Path, manifest: Manifest) -> bytes | None:
    """The card of the repository; None where somebody wrote one of their own."""
    there = _card_there(store)
    if there is not None and not is_ours(there):
        return None
    own = source / CARD
    text = own.read_text(encoding="utf-8") if own.is_file() else f"# {name}\n"
    return hub_card(name, manifest, text).encode()


def _card_there(store: Store) -> bytes | None:
    return store.read(_README, most=_README_BYTES)
