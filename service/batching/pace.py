"""How long a model call takes, by what was measured, and how many images may therefore run together.

A call of n images takes about a + b n seconds. The two are fitted again with every call, the recent ones counting most.
Knows no queue and no thread: whoever adds calls holds a lock; asking needs none.
"""

import math

_KEPT = 0.95  # of an older call's weight, for each one that follows
_MOST_TIMES = 4.0  # what was expected: a call that took longer still was held up by something else
_HEADROOM = 1.25  # times what is expected must fit before a deadline
_WORTH = 0.8  # of what large calls do in the same time; smaller ones that do less cost those who wait behind


class Pace:
    """The time of a call by its images: a + b n."""

    def __init__(self) -> None:
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)  # of weights, and of n, n n, t and n t with these weights
        self._fit = (0.0, 0.0)  # a and b

    def add(self, images: int, seconds: float) -> None:
        """Count a call."""
        if (expected := self.seconds(images)) > 0.0:
            seconds = min(seconds, _MOST_TIMES * expected)
        new = (1.0, images, images * images, seconds, images * seconds)
        self._sums = tuple(_KEPT * old + one for old, one in zip(self._sums, new, strict=True))  # type: ignore[assignment]
        self._fit = _fitted(*self._sums)

    def seconds(self, images: int) -> float:
        """What a call of so many is expected to take; 0.0 while nothing was measured."""
        a, b = self._fit
        return a + b * images

    def share(self, images: int) -> float:
        """Of the images that ever larger calls do in the same time, those that calls of so many do."""
        b, whole = self._fit[1] * images, self.seconds(images)
        return b / whole if whole else 0.0


class Company:
    """Images that are to run together from now on. most: of them. crowded: more wait than one call can take."""

    def __init__(self, pace: Pace, most: int, now: float, crowded: bool) -> None:
        self._pace = pace
        self._most = most
        self._now = now
        self._crowded = crowded
        self._images = 0
        self._earliest = math.inf  # deadline of those within, as far as it can be kept

    def admit(self, images: int, deadline: float) -> bool:
        """Take more images in, unless they are too many, or those within would miss a deadline that they keep without.

        In a crowd nobody is left behind for that where smaller calls do much less: more deadlines would be missed than
        kept.
        """
        together = self._images + images
        if together > self._most:
            return False
        ready = self._now + _HEADROOM * self._pace.seconds(together)
        if ready > self._earliest and (not self._crowded or self._pace.share(self._images) >= _WORTH):
            return False
        self._images = together
        if ready <= deadline:
            self._earliest = min(self._earliest, deadline)
        return True


def _fitted(weight: float, n: float, nn: float, t: float, nt: float) -> tuple[float, float]:
    """The line of least squares, neither of whose parts is negative; level where all calls had one size."""
    spread = weight * nn - n * n
    if spread <= 1e-6 * nn * weight:
        return t / weight, 0.0
    b = (weight * nt - n * t) / spread
    a = (t - b * n) / weight
    if a < 0.0:
        return 0.0, nt / nn
    return (a, b) if b > 0.0 else (t / weight, 0.0)
