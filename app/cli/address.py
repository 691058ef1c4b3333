"""Where a server is, and whether one is there."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.cli.refusal import BadConfiguration, Refusal

URL_VARIABLE = "CORRAL_URL"
_KEY_VARIABLE = "LLM_API_KEY"
_CONNECT_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # not bound


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address without its paths. `is_chosen`: somebody named it, so that nothing else
    will do. `socket`: the Unix socket that it is reached by instead."""

    url: str
    api_key: str | None = None
    is_chosen: bool = False
    socket: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def is_listening(self) -> bool:
        """Whether anybody takes connections there."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), _CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


def choose_address(url: str | None, api_key: str | None) -> Address:
    """The address that flag or variable name, else the one that `corral serve` listens on here.

    Raises BadConfiguration, and ConfigurationError for settings that are wrong.
    """
    key = api_key or os.environ.get(_KEY_VARIABLE) or None
    named = url or os.environ.get(URL_VARIABLE)
    if named:
        return Address(_clean(named), key, is_chosen=True)
    from app.config.settings import load_settings  # noqa: PLC0415  # a tenth of a second

    settings = load_settings()
    return Address(make_url(settings.host, settings.server_port), key)


def make_url(host: str, port: int) -> str:
    """The URL by which this machine reaches what listens on `host`."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def no_server(address: Address) -> Refusal:
    return Refusal(
        f"no server answers at {address.url}: start one with `corral serve`, or name another with "
        f"--url or {URL_VARIABLE}"
    )


def _clean(url: str) -> str:
    """`host:port` and addresses that end in `/v1` are taken too."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_right = False
    if not is_right:
        raise BadConfiguration(f"{url} is not the address of a server, such as http://host:11434")
    return whole.rstrip("/").removesuffix("/v1")
