"""Runs a service on a socket until it is told to stop, and stops it gently."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn

from app import __version__
from app.config.settings import Settings
from app.core.errors import ConfigurationError, CorralError
from app.core.models import ModelInfo
from app.wiring import build_service

_BACKLOG = 2048
# Longer than clients keep an idle connection, so that they never write into one just closed.
_KEEP_ALIVE = 75
# How long a thread keeps Python's lock while another wants it. Long prompts and large tools are
# prepared in threads; with Python's own 5 ms the event loop and the engines waited for all of them.
_SWITCH_SECONDS = 0.0005
_LAST_SECOND = 1  # for answers that are being written while the listener closes
_TICK_SECONDS = 1.0  # how old the date of an answer may be

_log = structlog.stdlib.get_logger("corral")


def run_server(settings: Settings) -> None:
    """Serve until a signal. Raises ConfigurationError, or what made preloading impossible."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    with bind_socket(settings.host, settings.server_port) as sock:
        server = DrainingServer(settings, sock)
        server.run(sockets=[sock])
    if server.failure is not None:
        raise server.failure


def bind_socket(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises ConfigurationError."""
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(f"LLM_HOST={host}: {error.strerror or error}") from None
    family, kind, protocol, _, address = info[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Listen now: whether the port is free shows only here when someone else listens on it.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {reason.lower()}; choose another port with "
            f"--server-port or LLM_SERVER_PORT"
        ) from None
    sock.setblocking(False)
    return sock


class DrainingServer(uvicorn.Server):
    """A uvicorn server that keeps its listener open while running requests finish.

    The first SIGTERM or SIGINT closes the gate: new requests get a real 503 with Retry-After,
    `/readyz` turns 503, running ones have the drain timeout. A second signal ends the process.
    SIGHUP has the manifest and the models directory read again.
    """

    def __init__(self, settings: Settings, sock: socket.socket) -> None:
        """Builds the service; `sock` is what it will be served on. Raises ConfigurationError."""
        self._service = build_service(settings, self.fail)
        super().__init__(
            uvicorn.Config(
                self._service.app,
                lifespan="on",
                log_config=None,
                access_log=False,
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE,
                backlog=_BACKLOG,
                server_header=False,
                timeout_graceful_shutdown=_LAST_SECOND,
            )
        )
        self.failure: CorralError | None = None
        self._settings = settings
        self._address = sock.getsockname()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._has_signal = False
        self._ending = asyncio.Event()

    def fail(self, error: CorralError) -> None:
        """Stop because the service cannot do its work."""
        self.failure = error
        self._stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._announce()
        self._loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        await super().startup(sockets)

    async def main_loop(self) -> None:
        """uvicorn's own looks ten times a second, idle or not, whether it should stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ending.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The signal handler."""
        if self._has_signal or self._loop is None:
            sys.stderr.write("corral: stopped at once by a second signal\n")
            sys.stderr.flush()
            # A thread inside llama.cpp cannot be interrupted: anything gentler would wait for it.
            os._exit(128 + sig)
        self._has_signal = True
        self._loop.call_soon_threadsafe(self._begin_drain, signal.Signals(sig).name)

    def _begin_reload(self) -> None:
        self._reloading = asyncio.create_task(self._service.reloader.reload_or_log())

    def _begin_drain(self, name: str) -> None:
        self._draining = asyncio.create_task(self._drain(name))

    async def _drain(self, name: str) -> None:
        gate, limit = self._service.gate, self._settings.drain_timeout
        gate.close()
        self._service.pool.drain()
        self._service.pulls.drain()
        _log.info("draining", signal=name, running=gate.running, timeout=limit)
        try:
            async with asyncio.timeout(limit):
                await gate.wait_idle()
        except TimeoutError:
            _log.warning("drain timeout, running requests are cut", running=gate.running)
            await self._service.pool.abort()
            with contextlib.suppress(TimeoutError):  # answers that want to say why they end
                async with asyncio.timeout(_LAST_SECOND):
                    await gate.wait_idle()
        self._stop()

    def _stop(self) -> None:
        self.should_exit = True
        self._ending.set()

    def _announce(self) -> None:
        """What a newcomer wants to know first."""
        models = self._service.pool.models()
        default = self._service.pool.find("default")
        url = self._url()
        _log.info(f"Corral {__version__} on {url}")
        _log.info("models", serving=", ".join(_name_model(model) for model in models))
        _log.info("device", using=self._service.device)
        _log.info(
            f"try: curl {url}/v1/chat/completions -H 'Content-Type: application/json' "
            f'-d \'{{"model": "{default.id}", '
            f'"messages": [{{"role": "user", "content": "Hello!"}}]}}\''
        )
        if not self._settings.is_local and self._service.is_open:
            _log.warning(
                f"ANYONE WHO REACHES {self._address[0]}:{self._address[1]} CAN USE EVERY MODEL: "
                f"no API key is set; set LLM_API_KEY, or LLM_HOST=127.0.0.1"
            )

    def _url(self) -> str:
        host, port = self._settings.host, self._address[1]
        if host in {"0.0.0.0", "::", ""}:  # noqa: S104  # shown, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _name_model(model: ModelInfo) -> str:
    if model.error is not None:
        return f"{model.id} (broken)"
    facts = [_round(model.parameters) if model.parameters else "", model.quantization or ""]
    shown = " ".join(fact for fact in facts if fact)
    return f"{model.id} ({shown})" if shown else model.id


def _round(parameters: int) -> str:
    """`7.6B`, `4.3M`, `90K`."""
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if parameters >= size:
            return f"{parameters / size:.1f}{letter}"
    return f"{parameters / 1e3:.0f}K"
