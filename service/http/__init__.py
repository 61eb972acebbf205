"""Requests come in and are answered here: routes, bodies, keys, connections, headers, the page.

The only room that knows a web framework.
"""

from service.http.server import run

__all__ = ["run"]
