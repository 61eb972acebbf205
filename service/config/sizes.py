"""What suits a kind of device where the operator says nothing: on a GPU larger batches, longer queues, two sessions."""

from typing import NamedTuple

from service.batching import BatchPolicy

_POLICY = BatchPolicy()


class Sizes(NamedTuple):
    """instances: sessions on each device. max_batch: images in one call. max_queue: images that wait."""

    instances: int
    max_batch: int
    max_queue: int


ON_CPU = Sizes(1, _POLICY.max_size, _POLICY.max_queue)
# One session copies while the other computes; 4,096 images are half a second of work at 10,000 a second.
ON_CUDA = Sizes(2, 128, 4096)


def told(field: str) -> str:
    """Both defaults of a field, for people."""
    return f"{getattr(ON_CPU, field):,}; {getattr(ON_CUDA, field):,} on CUDA"
