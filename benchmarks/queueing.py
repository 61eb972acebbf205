"""What queues without any waste would give: the p99 that can be hoped for at random moments of arrival.

Servers take requests in the order they come, at once when they are free, and nothing disturbs them. What they need for
a request is calibrated by what was measured: one request alone, and the peak.
"""

import heapq
from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_ARRIVALS = 30_000


@lru_cache
def alike(alone_s: float, peak: float, servers: int, share: float) -> float:
    """The p99 in ms at a share of the peak, if every request cost a server no more than it does at the peak.

    What one alone takes longer than that is a way on which nobody waits for it.
    """
    moments, each_s = _arrivals(share * peak), servers / peak
    ends = np.empty_like(moments)
    for server in range(servers):  # they take turns, as each needs the same time for everything
        mine = moments[server::servers]
        work = each_s * np.arange(1, len(mine) + 1)
        ends[server::servers] = work + np.maximum.accumulate(mine - work + each_s)
    return _p99_ms(ends - moments + max(alone_s - each_s, 0.0))


@lru_cache
def in_batches(alone_s: float, peak: float, servers: int, share: float, callers: int) -> float:
    """The p99 in ms at a share of the peak, if a free server takes all who wait together: n need a + b n seconds.

    One alone needs what was measured, and the peak is what so many callers get.
    """
    moments = list(_arrivals(share * peak).tolist())
    each_s = max((callers / peak - alone_s) / (callers // servers - 1), 0.0)
    free, ends, first = [0.0] * servers, np.empty(_ARRIVALS), 0
    while first < _ARRIVALS:
        begin = max(heapq.heappop(free), moments[first])
        last = bisect_right(moments, begin, first, min(first + callers, _ARRIVALS))
        ends[first:last] = begin + alone_s + each_s * (last - first - 1)
        heapq.heappush(free, float(ends[first]))
        first = last
    return _p99_ms(ends - np.array(moments))


def _arrivals(rate: float) -> NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(0).exponential(1 / rate, _ARRIVALS))


def _p99_ms(latencies: NDArray[np.float64]) -> float:
    return float(np.percentile(latencies, 99) * 1000)
