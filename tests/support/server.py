"""A real `corral serve` process: its address, its log, its metrics, its end.

One thread for llama.cpp, because the machine that runs the tests may be busy, and a folder of its
own as working directory, so that no models or settings of the developer's are found.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

MODEL = "corral-tiny"
HOST = "127.0.0.1"
START_SECONDS = 90.0
WAIT_SECONDS = 60.0
ROOT = Path(__file__).resolve().parents[2]
SERVE = (str(Path(sys.executable).parent / "corral"), "serve")
SCRIPTED = (sys.executable, "-m", "tests.support.scripted_server")
# What the log says when something went wrong that no request should be able to cause.
ALARMS = ("Traceback", "request failed", "engine died", "Exception in ASGI", "never retrieved")

DEFAULTS = {
    "LLM_HOST": HOST,
    "LLM_THREADS": "1",
    "LLM_USE_GPU": "false",
    "LLM_LOG_FORMAT": "json",
    "LLM_DRAIN_TIMEOUT": "10",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """One scrape, read by the parser of Prometheus' own client library."""

    samples: tuple[Sample, ...]
    families: Mapping[str, str]
    """Family name to its type."""

    @classmethod
    def parse(cls, text: str) -> "Metrics":
        families = list(text_string_to_metric_families(text))
        return cls(
            samples=tuple(
                Sample(sample.name, sample.labels, sample.value)
                for family in families
                for sample in family.samples
            ),
            families={family.name: family.type for family in families},
        )

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples called `name` that carry all of `labels`."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@dataclass(slots=True)
class Server:
    process: "subprocess.Popen[str]"
    port: int
    lines: list[str] = field(default_factory=list[str])
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(trust_env=False, timeout=WAIT_SECONDS)
    )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI's clients are given."""
        return f"{self.url}/v1"

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.client.get(self.url + path, headers=headers)

    def metrics(self) -> Metrics:
        answer = self.get("/metrics")
        assert answer.status_code == 200, answer.text
        return Metrics.parse(answer.text)

    def wait_metric(self, name: str, value: float) -> None:
        """Until the metric has this value; fails when that takes unreasonably long."""
        wait_until(lambda: self.metrics().value(name) == value, f"{name} to be {value}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, seconds: float = WAIT_SECONDS) -> int:
        return self.process.wait(timeout=seconds)

    def assert_no_alarm(self) -> None:
        """The log tells of no error that a request should not be able to cause."""
        found = [line for line in self.lines if any(alarm in line for alarm in ALARMS)]
        assert not found, "".join(found)


def wait_until(
    check: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS, pause: float = 0.02
) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} seconds for {what}")
        time.sleep(pause)


@contextmanager
def serve(folder: Path, command: Sequence[str] = SERVE, **settings: str) -> Generator[Server]:
    """A server that is ready, in `folder`; `settings` are environment variables."""
    server = launch(folder, command, **settings)
    try:
        wait_until(lambda: is_ready(server), "the server to be ready", START_SECONDS, pause=0.1)
        yield server
    finally:
        stop(server)


def launch(folder: Path, command: Sequence[str] = SERVE, **settings: str) -> Server:
    """Starts the process and does not wait for it; whoever calls this must `stop` it."""
    port = pick_port()
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "OPENAI_"))}
    environment = {
        **kept,
        **DEFAULTS,
        "LLM_SERVER_PORT": str(port),
        "LLM_MODELS_DIR": str(models),
        **settings,
    }
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    server = Server(process, port)
    threading.Thread(target=_collect, args=(server,), daemon=True).start()
    return server


def is_ready(server: Server) -> bool:
    code = server.process.poll()
    assert code is None, f"the server ended with {code}:\n{server.log}"
    try:
        return server.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def stop(server: Server) -> None:
    """Ends the process, politely first."""
    process = server.process
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not end:\n{server.log[-4000:]}") from None
    finally:
        server.client.close()
        if process.stdout is not None:
            process.stdout.close()


def pick_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _collect(server: Server) -> None:
    assert server.process.stdout is not None
    try:
        for line in server.process.stdout:
            server.lines.append(line)
    except ValueError:  # closed while reading: the test is over
        pass
