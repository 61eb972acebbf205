"""Several processes serve behind one port: a supervisor, which serves nothing itself, and workers, whole or front ends.

What must be one over all of them goes through the supervisor: control, metrics, limits of keys, readiness, the end.
"""

from service.processes.supervisor import supervise

__all__ = ["supervise"]
