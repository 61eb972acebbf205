"""Several processes serve behind one port: a supervisor, which serves nothing itself, and workers, whole or front ends.

What must be one over all of them goes through the supervisor: control, metrics, limits of keys, readiness, the end.
Where somebody else starts the processes, what is one over them is here all the same.
"""

from service.processes.commands import Commands
from service.processes.orders import keep_telling, obey
from service.processes.shared import SharedEngine
from service.processes.supervisor import supervise

__all__ = ["Commands", "SharedEngine", "keep_telling", "obey", "supervise"]
