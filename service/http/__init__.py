"""Requests come in and are answered here: routes, bodies, keys, connections, headers, the page.

The only room that knows a web framework.
"""

from service.http.app import Service, assemble
from service.http.listening import check_tls, listen, port_of
from service.http.server import end_now, remark, run
from service.http.serving import LAST_SECONDS, Server, configured
from service.http.threads import Threads, share_the_interpreter

__all__ = [
    "LAST_SECONDS",
    "Server",
    "Service",
    "Threads",
    "assemble",
    "check_tls",
    "configured",
    "end_now",
    "listen",
    "port_of",
    "remark",
    "run",
    "share_the_interpreter",
]
