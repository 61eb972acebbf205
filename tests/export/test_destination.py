"""An export goes to a folder as it is, and to a store when it is whole."""

from pathlib import Path

import pytest

from export.destination import destination
from export.errors import RepositoryError, StoreAwayError
from tests.support.colours import publish_colours
from tests.support.stores import in_memory, stored, uploaded


def test_a_folder_is_written_into_as_it_is(tmp_path):
    with destination(str(tmp_path), "colours", 3) as to:
        assert (to.folder, to.version) == (tmp_path, 3)
        made = publish_colours(to.folder)
        assert to.publish(made, print) == (str(made), 1)


def test_what_was_made_goes_to_the_store_and_leaves_no_folder(tmp_path):
    store, said = in_memory(), []
    uploaded(store, publish_colours(tmp_path))

    with destination(str(store), "colours", None) as to:
        assert to.version == 2
        place, number = to.publish(publish_colours(to.folder), said.append)

    assert (place, number) == (f"{store}/colours/2", 2)
    assert "colours/2/manifest.json" in stored(store)
    assert said == [f"publishing to {store}"]
    assert not to.folder.exists()


def test_what_fails_half_way_is_nowhere():
    store = in_memory()

    with pytest.raises(ZeroDivisionError), destination(str(store), "colours", None) as to:
        publish_colours(to.folder)
        raise ZeroDivisionError

    assert stored(store) == set()
    assert not to.folder.exists()


def test_a_store_that_is_away_is_told_before_anything_is_made():
    made: list[Path] = []

    with pytest.raises(StoreAwayError), destination("http://127.0.0.1:9/models", "colours", None) as to:
        made.append(to.folder)
    with pytest.raises(RepositoryError, match="cannot be a model's name"), destination("models", "..", None) as to:
        made.append(to.folder)
    assert made == []
