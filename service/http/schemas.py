"""What the routes say of the models, from the catalog."""

from dataclasses import asdict
from typing import Any

from service.answers import ModelDetail, ModelList, ModelSummary, Policy, SplitShare, VersionDetail, VersionSummary
from service.engine import DOCUMENTS, BrokenVersion, Catalog, Entry, OnDemand, VersionFacts


def model_list(catalog: Catalog) -> ModelList:
    """Every model, in brief."""
    return ModelList(
        models=[
            ModelSummary(
                name=name,
                default=name == catalog.default,
                split=_split(catalog, name),
                versions=[VersionSummary(**_summary(entry)) for entry in catalog.versions(name)],
            )
            for name in catalog.names()
        ]
    )


def model_detail(catalog: Catalog, name: str) -> ModelDetail | None:
    """One model in full; None if there is none of that name."""
    entries = catalog.versions(name)
    if not entries:
        return None
    versions = [VersionDetail(**_summary(entry), **_detail(entry)) for entry in entries]
    return ModelDetail(name=name, default=name == catalog.default, split=_split(catalog, name), versions=versions)


def _split(catalog: Catalog, name: str) -> list[SplitShare] | None:
    split = next((one for one in catalog.splits if one.model == name), None)
    if split is None:
        return None
    now, out = split.in_force(catalog.answering(name)), dict(split.out)
    return [
        SplitShare(version=version, share=share, in_force=round(now[version], 6), taken_out=out.get(version))
        for version, share in split.shares
    ]


def _summary(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, BrokenVersion):
        return {"version": entry.version, "state": "broken", "reason": entry.reason}
    if isinstance(entry, OnDemand):
        return {"version": entry.version, "state": "unloaded (on demand)", "remark": entry.remark or None} | _said(
            entry
        )
    policy = entry.policy
    return _said(entry) | {
        "version": entry.version,
        "state": "ready",
        "remark": entry.remark or None,
        "memory_bytes": entry.memory_bytes or None,
        "provider": entry.provider,
        "device": entry.device,
        "instances": entry.instances,
        "policy": Policy(**asdict(policy)),
        "variant": entry.variant,
        "precision": entry.precision,
        "size_bytes": entry.size_bytes,
        "norm": "adaptive" if entry.adaptive else None,
    }


def _said(entry: VersionFacts | OnDemand) -> dict[str, Any]:
    """What is known of a version before it is loaded."""
    return {
        "architecture": entry.manifest.architecture,
        "classes": len(entry.manifest.classes),
        "input_shape": list(entry.manifest.pixels.shape),
        "metrics": entry.manifest.metrics,
    }


def _detail(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, BrokenVersion):
        return {}
    manifest = entry.manifest
    return {
        "labels": list(manifest.classes),
        "parameters": manifest.parameters,
        "pixels": manifest.pixels,
        "documents": [name for name, file in DOCUMENTS.items() if file in manifest.files],
        "variants": list(manifest.variants),
        "parity": manifest.parity,
        "certainty": manifest.certainty,
        "license": manifest.license,
        "notice": manifest.notice,
        "created": manifest.created,
    }
