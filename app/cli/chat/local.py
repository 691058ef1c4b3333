"""An engine in this process, for want of a server: the same service, on a socket of its own."""

import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click
import uvicorn

from app.cli.address import Address
from app.cli.refusal import Refusal, refuse
from app.config.settings import Settings
from app.core.errors import CorralError
from app.telemetry.logging import configure_logging
from app.wiring import Service, build_service

_POLL_SECONDS = 0.02
_URL = "http://localhost"  # goes into the Host header only


@contextmanager
def serve_here(settings: Settings, model: str) -> Generator[Address]:
    """Load a model into this process and serve it on a Unix socket that only this user reaches.

    Raises Refusal where the model cannot be loaded. Ctrl-C gives the load up.
    """
    configure_logging("console", "error")
    engine = _Engine(settings, model)
    with tempfile.TemporaryDirectory(prefix="corral-") as folder:
        path = Path(folder) / "socket"
        try:
            engine.start(path)
            yield Address(_URL, socket=str(path))
        finally:
            engine.stop()


class _Engine:
    """The service in a thread with an event loop of its own: this one is for the terminal."""

    def __init__(self, settings: Settings, model: str) -> None:
        own = {"preload": (model,), "api_key": None, "api_keys_file": None}
        self._failure: CorralError | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._bar = _Bar(model)
        try:
            self._service: Service = build_service(
                settings.model_copy(update=own), self._fail, make_progress=self._bar.watch
            )
        except CorralError as error:
            raise refuse(error) from None

    def start(self, path: Path) -> None:
        """Raises Refusal."""
        config = uvicorn.Config(
            self._service.app,
            uds=str(path),
            lifespan="on",
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="server", daemon=True)
        self._thread.start()
        self._bar.show()
        try:
            while not (self._failure or (self._service.pool.is_ready and path.exists())):
                self._thread.join(_POLL_SECONDS)
                if not self._thread.is_alive():
                    raise Refusal("the engine ended before it was ready")
                self._bar.show()
        finally:
            self._bar.clear()
        if self._failure is not None:
            raise refuse(self._failure)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()

    def _fail(self, error: CorralError) -> None:
        self._failure = error


class _Bar:
    """How far the load is: one line that leaves nothing behind. It is drawn by the thread that
    waits, not by the one that loads."""

    _WIDTH = 30

    def __init__(self, model: str) -> None:
        self._model = model
        self._share = 0.0
        self._is_terminal = sys.stderr.isatty()

    def watch(self, _model: str) -> Callable[[float], None]:
        return self._note

    def show(self) -> None:
        full = round(self._WIDTH * self._share)
        bar = "━" * full + click.style("━" * (self._WIDTH - full), dim=True)
        self._write(f"\rloading {self._model} {bar} {self._share:4.0%}")

    def clear(self) -> None:
        self._write("\r\x1b[2K")

    def _note(self, share: float) -> None:
        self._share = min(share, 1.0)

    def _write(self, text: str) -> None:
        if self._is_terminal:
            click.echo(text, err=True, nl=False)
