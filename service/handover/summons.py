"""What a front end asks of the owners of the models where versions are loaded on demand."""

import asyncio
from collections.abc import Sequence

from service.errors import DeadlineExceeded, NotLoaded, NotReady, ServiceError
from service.handover.depot import Depot
from service.handover.refusals import Gone
from service.handover.whole import AWAY

_MOMENT = 5.0  # beyond the caller's own limit, for an owner to say why


async def have_loaded(depots: Sequence[Depot], missing: NotLoaded, seconds: float) -> None:
    """Have every owner load a version and offer it; one that does is enough.

    Raises what the first of them says where none does, DeadlineExceeded, NotReady.
    """
    patience_s = max(0.0, seconds)
    refusals = await asyncio.gather(*(_refusal(depot, missing, patience_s) for depot in depots))
    if refusals and None not in refusals:
        raise next(filter(None, refusals))


async def _refusal(depot: Depot, missing: NotLoaded, seconds: float) -> ServiceError | None:
    wanted = {"model": missing.name, "version": missing.version, "seconds": seconds}
    try:
        await depot.letters.ask("have", seconds + _MOMENT, **wanted)
    except ServiceError as error:
        return error
    except Gone:
        return NotReady(AWAY, retry_after_s=1)
    except TimeoutError:
        return DeadlineExceeded(f"{missing.name} version {missing.version} was not loaded in time; ask again shortly")
    return None
