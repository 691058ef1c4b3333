"""Whether the port is free, and who listens there."""

import socket
from collections.abc import Iterator
from pathlib import Path

from app.cli.address import Address, make_url
from app.cli.doctor.finding import Finding, fail, ok
from app.config.settings import Settings
from app.core.errors import ConfigurationError

_TOPIC = "port"
_LISTENING = "0A"


def check_port(settings: Settings) -> Iterator[Finding]:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    address = Address(make_url(settings.host, settings.server_port), key)
    place = f"{settings.host}:{settings.server_port}"
    if not settings.server_port or not address.is_listening:
        yield from _check_bindable(settings, place)
        return
    from app.cli.remote import Remote  # noqa: PLC0415

    remote = Remote(address)
    try:
        if remote.is_corral:
            yield ok(_TOPIC, f"Corral listens on {place}")
            return
    finally:
        remote.close()
    who = find_listener(settings.server_port) or "another program"
    text = f"{who} listens on {place}"
    yield fail(_TOPIC, text, "end it, or choose another port (LLM_SERVER_PORT, --server-port)")


def find_listener(port: int) -> str | None:
    """Name and id of the process that listens on a TCP port; None where the system does not tell,
    as of processes of others."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(entry.readlink()) in inodes:
                process = entry.parents[1]
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # gone, or not ours to see
            continue
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _check_bindable(settings: Settings, place: str) -> Iterator[Finding]:
    from app.cli.server import bind_socket  # noqa: PLC0415

    try:
        bind_socket(settings.host, settings.server_port).close()
    except (ConfigurationError, socket.gaierror) as error:
        yield fail(_TOPIC, str(error), "choose another address (LLM_HOST, LLM_SERVER_PORT)")
    else:
        yield ok(_TOPIC, f"{place} is free: no server runs there")
