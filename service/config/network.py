"""Settings of who reaches the service: addresses, keys, TLS, other origins. Part of the service's settings."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config.fields import Port, setting
from service.config.keys import Key, Keyring, read_keys


class Network(BaseSettings):
    """Addresses, keys and TLS."""

    host: str = setting("127.0.0.1", "Address to listen on; `0.0.0.0` for every one.", flag=True)
    port: Port = setting(8000, "Port to listen on; 0 takes a free one and logs it.", flag=True)
    keys_file: Path | None = setting(
        None,
        "TOML file of API keys, as `harmonic key` writes them. With any key, everything but documents and probes wants "
        "one: [security](security.md#keys).",
        flag=True,
    )
    keys: Annotated[tuple[Key, ...], Field(min_length=1)] | None = setting(
        None,
        'JSON, API keys beside those of the file: `[{"name": "ci", "sha256": "...", "scopes": ["inference"]}]`.',
    )
    cors_origins: tuple[str, ...] = setting(
        (), 'JSON, origins whose pages may ask this service: `["https://example.org"]`.'
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "JSON, names beside `localhost` under which a service that only this machine reaches, without keys or TLS, may "
        'be asked: `["models.example.org"]`.',
    )
    tls_cert: Path | None = setting(
        None, "PEM file of the certificate and its chain; turns TLS on, together with `tls_key`.", flag=True
    )
    tls_key: Path | None = setting(None, "PEM file of the certificate's private key, without a passphrase.", flag=True)
    admin_port: Port | None = setting(
        None,
        "A port of their own for `/livez`, `/readyz` and `/metrics`, without keys or TLS. `/metrics` then leaves the "
        "main port; the probes are on both.",
        flag=True,
    )
    admin_host: str = setting("127.0.0.1", "Address that `admin_port` listens on.")

    def url(self, host: str | None = None, port: int | None = None) -> str:
        """The service's address: as its log tells it, or on this host and port."""
        name = self.host if host is None else host
        scheme = "http" if self.tls_cert is None else "https"
        return f"{scheme}://{f'[{name}]' if ':' in name else name}:{self.port if port is None else port}"

    def private(self) -> bool:
        """True if only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False

    def hosts(self) -> tuple[str, ...] | None:
        """Names that a request's Host may have beside localhost; None where any will do.

        Only a service on loopback knows what it is called; a key, or a certificate, is what a page has not got.
        """
        return self.allowed_hosts if self.private() and not self.keyring() and self.tls_cert is None else None

    def keyring(self) -> Keyring:
        """The API keys of file and environment; reads the file. Raises StartError."""
        return Keyring([*(read_keys(self.keys_file) if self.keys_file else ()), *(self.keys or ())])
