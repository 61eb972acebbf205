"""What holds for every test: shapes are checked, coroutines run on asyncio, and nothing waits without an end."""

import signal
from collections.abc import Iterator

import pytest

from harmonic.cores import usable_cores
from tests.support.shapes import check_shapes

check_shapes()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell keeps Ctrl-C from what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Far more than a test takes on a busy machine; those that are marked slow take minutes by themselves.
MOST_SECONDS, MOST_SECONDS_OF_SLOW_ONES = 300, 3600


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of the service."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HARMONIC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one process more than cores, since many tests wait for a service of theirs."""
    return usable_cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that says nothing of its own time limit (`@pytest.mark.timeout`) has one."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            slow = item.get_closest_marker("slow") is not None
            item.add_marker(pytest.mark.timeout(MOST_SECONDS_OF_SLOW_ONES if slow else MOST_SECONDS))
