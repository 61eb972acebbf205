"""From an address to its store: the right library, with an end to every wait."""

import importlib
from typing import Any

from export.errors import StoreError
from export.stores.address import KINDS, Address
from export.stores.hub import endpoint
from export.stores.reasons import quiet_libraries
from export.stores.store import Store

_CONNECT_S, _READ_S = 10, 30
_TRIES = 3  # of one request; a look comes again soon


def open_store(address: Address, seconds: float = 600.0) -> Store:
    """Open a store; nothing is asked yet. seconds: the longest that one file may take to come.

    Credentials are where the library looks for them: AWS_*, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN. Raises StoreError
    where the library is not installed.
    """
    try:
        fsspec = importlib.import_module("fsspec")
        importlib.import_module(KINDS[address.kind])
    except ImportError as error:
        raise StoreError(
            f"{address}: {error.name} is not installed. Install it with: pip install 'harmonic-inference[stores]'"
        ) from None
    quiet_libraries()
    options = {"skip_instance_cache": True, "use_listings_cache": False, **_options(address)}
    root = f"{address}" if address.kind in {"http", "https"} else address.place
    if address.kind == "memory":
        root = f"/{address.place}"
    files = fsspec.filesystem(address.kind, **options)
    if address.kind == "s3":
        files.retries = _TRIES
    return Store(address, files, root, seconds)


def _options(address: Address) -> dict[str, Any]:
    """What each library is told of time."""
    if address.kind == "s3":
        retries = {"total_max_attempts": 1}  # fsspec tries again itself
        timing = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": retries}
        # One stream for each file, so that its bytes are counted in order and memory stays small.
        return {"config_kwargs": timing, "max_concurrency": 1}
    if address.kind in {"http", "https"}:
        from aiohttp import ClientTimeout

        return {"client_kwargs": {"timeout": ClientTimeout(total=None, connect=_CONNECT_S, sock_read=_READ_S)}}
    if address.kind == "gs":
        return {"requests_timeout": _READ_S}
    return {"endpoint": endpoint()} if address.kind == "hf" else {}
