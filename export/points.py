"""Several bundles as versions of one model, all of them or none: the points of a front, for `harmonic compress`.

An entry point of `harmonic.publishers`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from export.layout import FILE
from export.pipeline import Order, export_all
from export.repository import checked_name, versions
from harmonic.bundles import Bundle, cache_folder
from harmonic.disk import must_be_writable

Publish = Callable[[Sequence[Bundle]], list[Path]]


def version_publisher(repository: Path, name: str, tell: Callable[[str], None]) -> Publish:
    """A function that publishes bundles as the next versions of a model, in their order.

    Raises RepositoryError for what is no name, and BundleError where nothing can be written: before any long work.
    """
    checked_name(name)
    for place in (repository / name, cache_folder() / FILE):  # a version's layers are timed, and that is kept
        must_be_writable(place)

    def publish(bundles: Sequence[Bundle]) -> list[Path]:
        first = max(versions(repository, name), default=0) + 1
        orders = [Order(each, repository, name) for each in bundles]
        return [one.folder for one in export_all(orders, range(first, first + len(orders)), tell=tell)]

    return publish
