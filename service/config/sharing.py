"""What each of several processes gets of the service's settings, so that all together keep the operator's numbers.

Queues are shared where a model's plan is read: a model may have one of its own.
"""

from service.config.settings import Settings
from service.runtime import usable_cpus

_LEAST_DECODED = 2**24  # the least that the setting takes
_LEAST_SLOTS = 2**20


def share_of(settings: Settings, processes: int) -> Settings:
    """The settings of one of so many processes. Raises StartError for keys that cannot be read.

    Keys are read here, once for all. What one request may bring is everybody's; what all requests may take together is
    shared out: connections, bytes of bodies, memory and threads of decoding.
    """
    cpus = usable_cpus()
    ways = processes * max(1, len(settings.owned_devices()))  # each has slots of its own
    return settings.model_copy(
        update={
            "threads": settings.threads or max(1, cpus // processes),
            "decode_threads": max(1, (settings.decode_threads or cpus) // processes),
            "connections": max(1, settings.connections // processes),
            "buffered_bytes": max(_largest_body(settings), settings.buffered_bytes // processes),
            "slot_bytes": max(_LEAST_SLOTS, settings.slot_bytes // ways),
            "decoded_bytes": max(_LEAST_DECODED, settings.decoded_bytes // processes),
            "max_memory": _part(settings.bounds().memory_bytes, processes),
            "keys": settings.keyring().kept() or None,
            "keys_file": None,
        }
    )


def excess(settings: Settings, processes: int) -> str:
    """What so many processes take beyond the operator's numbers, because each must hold one largest body."""
    held = share_of(settings, processes).buffered_bytes * processes
    if held <= settings.buffered_bytes:
        return ""
    return (
        f"{processes} processes hold up to {held:,} bytes of bodies, more than buffered_bytes says: each must have "
        f"room for one body of {settings.body_bytes:,}. Lower body_bytes, or take fewer workers."
    )


def _part(memory_bytes: int | None, processes: int) -> str | None:
    return None if memory_bytes is None else str(max(1, memory_bytes // processes))


def _largest_body(settings: Settings) -> int:
    """Room for one largest body beside the eighth that is kept for small ones."""
    return min(settings.buffered_bytes, -(-settings.body_bytes * 8 // 7))
