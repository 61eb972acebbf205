"""Labelled images from folders, zips and the published data sets, split and prepared.

Knows pixels; no network and no training.
"""

from harmonic.data.classnames import each_once, named_classes, read_classes
from harmonic.data.fingerprint import digests, fingerprint
from harmonic.data.images import (
    Images,
    check_all,
    counted,
    prepare_all,
    prepared_batches,
    some,
    split_by_group,
    stratified_split,
)
from harmonic.data.readers import reader
from harmonic.data.sources import has_split, only, read
from harmonic.data.tracking import tracked

__all__ = [
    "Images",
    "check_all",
    "counted",
    "digests",
    "each_once",
    "fingerprint",
    "has_split",
    "named_classes",
    "only",
    "prepare_all",
    "prepared_batches",
    "read",
    "read_classes",
    "reader",
    "some",
    "split_by_group",
    "stratified_split",
    "tracked",
]
