import logging
import warnings

import pytest
from lightning.fabric.utilities.warnings import PossibleUserWarning

from harmonic.training.quiet import quiet_lightning


@pytest.mark.parametrize("name", ["lightning.pytorch", "lightning.fabric"])
def test_of_what_lightning_logs_errors_alone_are_heard(name):
    heard = []
    listener = logging.Handler()
    listener.emit = lambda record: heard.append(record.getMessage())
    logger = logging.getLogger(f"{name}.any.module")
    logger.addHandler(listener)
    try:
        with quiet_lightning():
            logger.warning("take a course")
            logger.error("the disk is on fire")
        logger.warning("heard again")
    finally:
        logger.removeHandler(listener)
    assert heard == ["the disk is on fire", "heard again"]


def test_lightnings_warnings_are_dropped_and_everything_is_restored():
    before = list(warnings.filters)
    with quiet_lightning():
        warnings.warn("use more workers", PossibleUserWarning, stacklevel=1)
    assert list(warnings.filters) == before
    with pytest.raises(PossibleUserWarning):
        warnings.warn("use more workers", PossibleUserWarning, stacklevel=1)


def test_warnings_of_others_are_still_told():
    with quiet_lightning(), pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)
