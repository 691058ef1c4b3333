"""Which host names are this server's own.

A page of another site may have its own name lead here (DNS rebinding): to a browser it is then a
page of this server. Names that nobody can register in the public DNS are safe from that.
"""

import ipaddress
import socket
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

_LOCAL = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".svc")


def is_ours(host: str, origins: Iterable[str]) -> bool:
    """Whether a `Host` header names this server: by an address, a name of the local network, the
    machine's own name, or the host of one of `origins`."""
    name = _name_in(host)
    if name is None:
        return False
    if "." not in name or name.endswith(_LOCAL) or _is_address(name) or name == _own_name():
        return True
    return any(is_same_origin(origin, host) for origin in origins)


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an `Origin` header is that of a page of `host`, as the browser sees it."""
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:
        return False


def _name_in(host: str) -> str | None:
    """Without the port; None where there is none."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name.rstrip(".") or None if name else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _own_name() -> str:
    return socket.getfqdn().lower()
