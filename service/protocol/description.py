"""A version in the words of the Open Inference Protocol and of Triton: metadata, configuration, statistics."""

from typing import Any

from service.batching import BatchStatistics
from service.engine import Catalog, ReadyVersion
from service.protocol.messages import LOGITS, datatype
from service.telemetry import Figures, Total

PLATFORM = "onnxruntime_onnx"
_NOTHING = Total()


def metadata(entry: ReadyVersion, catalog: Catalog) -> dict[str, Any]:
    """Inputs and outputs, with -1 for the number of images; `versions` are those that may be asked."""
    manifest = entry.manifest
    ready = [str(other.version) for other in catalog.versions(entry.name) if isinstance(other, ReadyVersion)]
    return {
        "name": entry.name,
        "versions": ready,
        "platform": PLATFORM,
        "inputs": [{"name": manifest.input, "datatype": datatype(manifest), "shape": [-1, *manifest.pixels.shape]}],
        "outputs": [{"name": manifest.output, "datatype": LOGITS, "shape": [-1, len(manifest.classes)]}],
    }


def config(entry: ReadyVersion) -> dict[str, Any]:
    """The fields of Triton's model configuration that say something here."""
    manifest, policy, placement = entry.manifest, entry.policy, entry.placement
    on_cpu = placement.device == "cpu"
    return {
        "name": entry.name,
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
                "name": entry.name,
                "kind": "KIND_CPU" if on_cpu else "KIND_GPU",
                "count": len(entry.sessions),
                "gpus": [] if on_cpu else [placement.ordinal],
            }
        ],
        "default_model_filename": manifest.variant().file,
    }


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
