"""Settings of batching: how a model gathers company, what its calls may do. Part of the service's settings."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from service.batching import BatchPolicy, CallLimits
from service.config.fields import Count, Milliseconds, Seconds, setting
from service.config.model_config import Level, ModelSettings
from service.config.sizes import ON_CPU, Sizes, told

_POLICY, _CALLS = BatchPolicy(), CallLimits()


class Batching(BaseSettings):
    """Batching."""

    max_batch: Count | None = setting(
        None, "Most images in one model call, and in one request.", flag=True, unset=told("max_batch")
    )
    window_ms: Milliseconds = setting(
        _POLICY.window_ms,
        "Longest wait for company while the model is idle, in milliseconds; it opens at the first request. 0 never "
        "waits: company gathers anyway while the model is busy.",
        flag=True,
    )
    max_queue: Count | None = setting(
        None,
        "Most images of a version that are admitted and not yet running; one more is refused with 429.",
        flag=True,
        unset=told("max_queue"),
    )
    deadline_ms: Annotated[float, Field(gt=0, le=3_600_000)] = setting(
        _POLICY.deadline_ms, "Longest time from admission to answer, in milliseconds; then 504.", flag=True
    )
    priority_levels: Level = setting(
        _POLICY.priority_levels,
        "Levels of priority; 1 is the most urgent and always goes first. A request of the inference protocol may name "
        "its level.",
    )
    default_priority: Level = setting(
        _POLICY.default_priority, "Level of a request that names none, or none that exists."
    )
    policies: dict[str, ModelSettings] = setting(
        {},
        'JSON: batching of single models, `{"cifar10": {"max_size": 64, "window_ms": 2, "max_queue": 512, '
        '"deadline_ms": 5000}}`; what is left out is as in the model\'s own '
        "[`config.toml`](model-control.md#a-models-own-file), else as in the settings above. `priority_levels`, "
        "`default_priority`, `instances`, `versions` and `stem` may stand there too.",
    )
    call_failures: Count = setting(
        _CALLS.failures,
        "Model calls in a row that may fail; then an instance takes no more before it has answered a golden image: "
        "[operations](operations.md#when-a-model-fails).",
    )
    call_seconds: Seconds = setting(
        _CALLS.call_seconds,
        "Longest time of one model call, in seconds; beyond it the instance is taken for hung, and a version without "
        "another instance is not ready.",
    )

    def policy(self, suited: Sizes = ON_CPU) -> BatchPolicy:
        """How a model gathers company that has nothing of its own. Raises StartError for what contradicts itself.

        suited: what is taken for what the operator left out.
        """
        return BatchPolicy(
            self.max_batch or suited.max_batch,
            self.window_ms,
            self.max_queue or suited.max_queue,
            self.deadline_ms,
            self.priority_levels,
            self.default_priority,
        )

    def call_limits(self) -> CallLimits:
        """What model calls may do before an instance takes no more work."""
        return CallLimits(self.call_failures, self.call_seconds)
