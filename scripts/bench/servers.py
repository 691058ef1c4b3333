"""The servers that are compared: how each is started, and a block in which it runs."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from urllib.request import urlopen

import click

SOURCE = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120
STOP_LIMIT_S = 30
END_LIMIT_S = 1.0
"""How long after its connections a server that died may end."""
CELLS = 32768
"""KV cells of every server, unless its suite says otherwise."""


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server; `{port}` in arguments and environment is filled in.

    It runs in an empty folder, so that no configuration lying about changes it.
    """

    label: str
    arguments: list[str]
    ready_path: str
    environment: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready, and the seconds that took from its start."""

    url: str
    process: subprocess.Popen[bytes]
    ready_s: float

    def has_ended(self, patience: float) -> bool:
        """Whether the process is over, or ends within `patience` seconds."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True


def corral(
    models: Path, threads: int, extra: dict[str, str] | None = None, label: str = "Corral"
) -> Server:
    """Corral from this source tree; it is ready when the default model is loaded."""
    return Server(
        label=label,
        arguments=[sys.executable, "-c", "from app.cli.entry import begin; begin()", "serve"],
        ready_path="/readyz",
        environment={
            "LLM_HOST": "127.0.0.1",
            "LLM_SERVER_PORT": "{port}",
            "LLM_MODELS_DIR": str(models),
            "LLM_THREADS": str(threads),
            "PYTHONPATH": str(SOURCE),
            "PYTHONDONTWRITEBYTECODE": "",  # or every start would compile what it imports
            **(extra or {}),
        },
    )


def corral_slots(slots: int, cells: int = CELLS, *, unified: bool = True) -> dict[str, str]:
    """What `llama_flags` says, as Corral's settings."""
    sizes = {"LLM_MAX_SEQUENCES": str(slots), "LLM_KV_SIZE": str(cells)}
    return {**sizes, "LLM_KV_UNIFIED": str(unified).lower()}


def llama_flags(slots: int, cells: int = CELLS, *, unified: bool = True) -> list[str]:
    """Slots, KV cells for all of them together, and whether any slot may use any cell."""
    flags = ["-np", str(slots), "-c", str(cells), *(["-kvu"] if unified else [])]
    # Without the last flag it would ask models that can think to do so, in a longer prompt.
    return [*flags, "--reasoning", "off"]


def llama_server(
    binary: Path, model: Path, threads: int, flags: list[str], label: str = "llama-server"
) -> Server:
    """llama-server for the model, with the flags of `llama_flags`."""
    basics = ["-m", str(model.resolve()), "--alias", model.stem, "-t", str(threads)]
    address = ["--host", "127.0.0.1", "--port", "{port}"]
    return Server(label, [str(binary.resolve()), *basics, *address, *flags], "/health")


@contextmanager
def running(server: Server) -> Generator[Running]:
    """Start the server on a free port, yield when it is ready, stop it after."""
    port = str(_free_port())
    url = f"http://127.0.0.1:{port}"
    arguments = [argument.replace("{port}", port) for argument in server.arguments]
    extra = {name: value.replace("{port}", port) for name, value in server.environment.items()}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        started = time.monotonic()
        process = subprocess.Popen(
            arguments, cwd=folder, env=environ | extra, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not _becomes_ready(process, url + server.ready_path):
                log.seek(0)
                tail = log.read().decode(errors="replace").splitlines()[-15:]
                raise click.ClickException("\n".join([f"{server.label} did not start:", *tail]))
            yield Running(url, process, time.monotonic() - started)
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _becomes_ready(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(address, timeout=5):
                return True
        except OSError:
            time.sleep(0.02)
    return False
