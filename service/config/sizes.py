"""What suits a kind of device where the operator says nothing: on a GPU larger batches, longer queues, two sessions."""

from typing import NamedTuple

from service.batching import BatchPolicy

_POLICY = BatchPolicy()


class Sizes(NamedTuple):
    """instances: sessions on each device; None to choose by the model. max_batch: images in one call. max_queue: images
    that wait."""

    instances: int | None
    max_batch: int
    max_queue: int


ON_CPU = Sizes(None, _POLICY.max_size, _POLICY.max_queue)
# One session copies while the other computes; 4,096 images are half a second of work at 10,000 a second.
ON_CUDA = Sizes(2, 128, 4096)


def told(field: str) -> str:
    """Both defaults of a field, for people."""
    return f"{getattr(ON_CPU, field):,}; {getattr(ON_CUDA, field):,} on CUDA"
