"""The sockets and the certificate of the service, tried before anything is loaded."""

import socket
import ssl

from service.config import Settings
from service.errors import StartError

_BACKLOG = 2048  # connections that the kernel holds until they are taken


def listen(host: str, port: int, setting: str = "port") -> list[socket.socket]:
    """Sockets that listen on every address of a host; port 0 takes a free one, the same on all of them.

    Raises StartError naming the setting for a port that is taken, and for a host that is no address of this machine.
    """
    found: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in _addresses(host, port):
            one = socket.socket(family, kind, protocol)
            found.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port or port_of(found[:-1]), *address[2:]))
            one.listen(_BACKLOG)
    except OSError as error:
        for one in found:
            one.close()
        raise StartError(
            f"cannot listen on {host} port {port}: {(error.strerror or str(error)).lower()}. Choose another with the "
            f"setting {setting}, or see what listens there."
        ) from error
    return found


def port_of(sockets: list[socket.socket]) -> int:
    """The port of these sockets; 0 if there is none yet."""
    return int(sockets[0].getsockname()[1]) if sockets else 0


def check_tls(settings: Settings) -> None:
    """Raise StartError for a certificate and a key that do not fit."""
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:  # ssl.SSLError is one too
        raise StartError(
            f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key} cannot be used: {error}. "
            "They want a certificate in PEM and its private key, without a passphrase."
        ) from error


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys(found))  # type: ignore[arg-type]
