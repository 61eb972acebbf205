"""Repositories that are no folder: object stores, the Hugging Face hub, web servers. Versions come and go there.

Torch-free. The libraries that speak with stores are the extra `stores`; none is loaded before a store is opened.
"""

from export.stores.address import Address, copy_folder, is_address, read_address
from export.stores.fetching import fetch
from export.stores.mirror import Look, Mirror
from export.stores.opening import open_store
from export.stores.publishing import free_number, publish
from export.stores.store import Store

__all__ = [
    "Address",
    "Look",
    "Mirror",
    "Store",
    "copy_folder",
    "fetch",
    "free_number",
    "is_address",
    "open_store",
    "publish",
    "read_address",
]
