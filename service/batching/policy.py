"""How a model gathers company: sizes, waits, priorities. Knows no queue."""

from dataclasses import dataclass, replace

from service.errors import StartError


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How a model gathers company. Sizes are in images, a request's images count each."""

    max_size: int = 32  # images in one model call
    window_ms: float = 0.0  # longest wait for company while an instance is idle; opens at the first request
    max_queue: int = 256  # images admitted and not yet running; one more is refused, at once
    deadline_ms: float = 30_000.0  # from admission to answer
    priority_levels: int = 1  # 1 is the most urgent; a more urgent ticket always goes first
    default_priority: int = 1  # level of a ticket that names none, or none that exists

    def __post_init__(self) -> None:
        if not 1 <= self.max_size <= self.max_queue:
            raise StartError(
                f"a batch of {self.max_size} and a queue of {self.max_queue} images: the batch wants at least 1, "
                "and the queue must hold a whole batch. Change max_batch or max_queue."
            )
        if not 1 <= self.default_priority <= self.priority_levels:
            raise StartError(
                f"the default priority {self.default_priority} of {self.priority_levels} levels: it wants to be one of "
                "them. Change default_priority or priority_levels."
            )

    def shared_by(self, processes: int) -> "BatchPolicy":
        """The same for each of so many processes, which share the queue; it still holds a whole batch."""
        return replace(self, max_queue=max(self.max_size, self.max_queue // processes))
