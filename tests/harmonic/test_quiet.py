import logging
import warnings

from lightning.fabric.utilities.warnings import PossibleUserWarning

from harmonic.quiet import quiet_lightning


def test_advertisements_are_dropped_and_everything_is_restored():
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level, list(warnings.filters)
    with quiet_lightning():
        assert not logger.isEnabledFor(logging.WARNING)
        warnings.warn("use more workers", PossibleUserWarning, stacklevel=1)
    assert (logger.level, list(warnings.filters)) == before


def test_errors_are_still_logged():
    with quiet_lightning():
        assert logging.getLogger("lightning.pytorch").isEnabledFor(logging.ERROR)
