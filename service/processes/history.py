"""When a process takes the place of one that has ended: at once, later where they die young, or never again."""

_YOUNG_SECONDS = 30.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 30.0
_TRIES = 3  # of a worker that is to replace one


class History:
    """What became of the workers of one number, one after the other."""

    def __init__(self) -> None:
        self._young = self._failed = self._helpless = 0

    def note(self, joined: bool, lived_s: float, helpless: bool) -> None:
        """Note an end. joined: it had served. helpless: it said why it could not start, or nobody else serves."""
        if joined:
            self._failed = self._helpless = 0
            self._young = self._young + 1 if lived_s < _YOUNG_SECONDS else 0
        else:
            self._failed += 1
            self._helpless += helpless

    @property
    def hopeless(self) -> bool:
        """True once another try would be one of a loop."""
        return self._helpless >= _TRIES

    def wait_s(self) -> float:
        """Seconds until the next is started."""
        return float(min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(self._young + self._failed, 20)))
