"""The service on a cluster of machines, by Ray Serve: each replica is a whole service with its own queue and batches.

What must be one over all replicas, control of models, limits of keys, readiness, goes through a coordinator. This door
loads nothing, since Ray is not installed everywhere: others take what they need from the modules that it lists.
"""

__all__ = ["application", "deploy", "haproxy", "order"]
