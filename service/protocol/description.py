"""A version in the words of the Open Inference Protocol and of Triton: metadata, configuration, statistics."""

from collections.abc import Iterable
from typing import Any

from service.batching import BatchStatistics
from service.engine import Catalog, Entry, OnDemand, Unloaded, VersionFacts, trouble
from service.protocol.messages import LOGITS, datatype
from service.telemetry import Figures, Total

PLATFORM = "onnxruntime_onnx"
ON_DEMAND = "unloaded (on demand): the next request for it loads it"
_NOTHING = Total()


def metadata(facts: VersionFacts, catalog: Catalog) -> dict[str, Any]:
    """Inputs and outputs, with -1 for the number of images; `versions` are those that may be asked."""
    manifest = facts.manifest
    answering = (VersionFacts, OnDemand)
    ready = [str(other.version) for other in catalog.versions(facts.name) if isinstance(other, answering)]
    return {
        "name": facts.name,
        "versions": ready,
        "platform": PLATFORM,
        "inputs": [{"name": manifest.input, "datatype": datatype(manifest), "shape": [-1, *manifest.pixels.shape]}],
        "outputs": [{"name": manifest.output, "datatype": LOGITS, "shape": [-1, len(manifest.classes)]}],
    }


def config(facts: VersionFacts) -> dict[str, Any]:
    """The fields of Triton's model configuration that say something here."""
    manifest, policy = facts.manifest, facts.policy
    return {
        "name": facts.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": policy.max_size,
        "input": [
            {"name": manifest.input, "data_type": f"TYPE_{datatype(manifest)}", "dims": list(manifest.pixels.shape)}
        ],
        "output": [{"name": manifest.output, "data_type": f"TYPE_{LOGITS}", "dims": [len(manifest.classes)]}],
        "dynamic_batching": {
            "preferred_batch_size": [policy.max_size],
            "max_queue_delay_microseconds": round(policy.window_ms * 1000),
            "priority_levels": policy.priority_levels,
            "default_priority_level": policy.default_priority,
            "default_queue_policy": {
                "timeout_action": "REJECT",
                "default_timeout_microseconds": round(policy.deadline_ms * 1000),
                "allow_timeout_override": True,
                "max_queue_size": policy.max_queue,
            },
        },
        "instance_group": [
            {
                "name": facts.name,
                "kind": "KIND_GPU" if facts.gpus else "KIND_CPU",
                "count": facts.instances // max(1, len(facts.gpus)),
                "gpus": list(facts.gpus),
            }
        ],
        "default_model_filename": manifest.variant(facts.variant).file,
        "parameters": {"precision": {"string_value": facts.precision}},
    }


def index(found: Iterable[Entry | Unloaded], only_ready: bool = False) -> list[dict[str, str]]:
    """Every version, as the model repository extension lists it."""
    return [_listed(one) for one in found if isinstance(one, VersionFacts) or not only_ready]


def _listed(one: Entry | Unloaded) -> dict[str, str]:
    if isinstance(one, Unloaded):
        return {"name": one.name, "version": "", "state": "UNAVAILABLE", "reason": "not loaded"}
    state = "READY" if isinstance(one, VersionFacts) else "UNAVAILABLE"
    reason = ON_DEMAND if isinstance(one, OnDemand) else trouble(one)
    return {"name": one.name, "version": str(one.version), "state": state, "reason": reason}


def statistics(name: str, version: int, figures: Figures, counts: BatchStatistics) -> dict[str, Any]:
    """Counts and nanoseconds since the version was loaded, as the statistics extension names them."""
    return {
        "name": name,
        "version": str(version),
        "last_inference": figures.last_ms,
        "inference_count": figures.images,
        "execution_count": counts.calls - counts.failed_calls,
        "inference_stats": {
            "success": _total(figures.success),
            "fail": _total(figures.fail),
            "queue": _total(figures.queue),
            "compute_input": _total(figures.compute_input),
            "compute_infer": _total(figures.compute_infer),
            "compute_output": _total(figures.compute_output),
            "cache_hit": _total(_NOTHING),
            "cache_miss": _total(_NOTHING),
        },
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": _total(Total(total.count)),
                "compute_infer": _total(total),
                "compute_output": _total(Total(total.count)),
            }
            for size, total in figures.batches.items()
        ],
    }


def _total(total: Total) -> dict[str, int]:
    return {"count": total.count, "ns": total.ns}
