"""`corral pull` onto a server that was named: real processes, and a server like the hub."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.make_gguf import write_tiny_llama
from tests.conftest import Start
from tests.support.cli import CORRAL, corral, environment, open_terminal
from tests.support.hub import REPOSITORY, Hub, Stored, run_hub
from tests.support.server import Server, wait_until

SOURCE = f"hf://{REPOSITORY}/m.gguf"
MANIFEST = f"models:\n  - {{id: named, source: '{SOURCE}'}}\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    data = write_tiny_llama(tmp_path / "origin.bin").read_bytes()
    with run_hub() as running:
        running.files["m.gguf"] = Stored(data)
        yield running


@pytest.fixture
def remote(hub: Hub, start: Start, tmp_path: Path) -> Server:
    """A server whose manifest names a model that it has not."""
    folder = tmp_path / "server-0"
    folder.mkdir()
    (folder / "models.yaml").write_text(MANIFEST)
    return start(HF_ENDPOINT=hub.endpoint)


def begin_pull(folder: Path, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [CORRAL, "pull", "named"],
        cwd=folder,
        env=environment(folder, url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # where the tests run in the background, they and their children ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def test_what_a_server_lacks_comes_to_it(remote: Server, hub: Hub, tmp_path: Path) -> None:
    """Without a name, all that its models.yaml names; with --json, as it is told here."""
    home = tmp_path / "home"
    home.mkdir()
    done = corral(home, "pull", "--json", url=remote.url)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["file"] for line in lines} == {"m.gguf"}
    assert lines[-1]["stage"] == "done"
    assert lines[-1]["done"] == lines[-1]["size"] == len(hub.files["m.gguf"].data)
    assert len(lines[-1]["sha256"]) == 64
    assert remote.get("/v1/models/named").json()["state"] == "cold"
    assert not list(home.rglob("*.gguf")), "nothing comes here"
    sent = hub.sent
    again = corral(home, "pull", "named", "--url", remote.url)
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1] == "m.gguf: done"
    assert corral(home, "pull", url=remote.url).stderr == ""
    assert hub.sent == sent
    assert "qwen3-4b" in corral(home, "pull", "--names", url=remote.url).stdout.split()


def test_a_terminal_shows_bars_and_the_name(remote: Server, hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.1
    with open_terminal(tmp_path, "pull", SOURCE, "--url", remote.url) as terminal:
        assert terminal.wait() == 0
    assert "━" in terminal.shown
    assert "421" in terminal.plain
    assert "`corral run named` talks to it" in terminal.plain


def test_what_a_server_refuses(remote: Server, hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].faults.append("forbidden")
    done = corral(
        tmp_path, "pull", "qwen3-4", "https://127.0.0.1:1/x.gguf", "named", url=remote.url
    )
    assert done.returncode == 1
    unknown, outside, failed = done.stderr.replace("m.gguf: ", "").splitlines()[-3:]
    assert unknown.startswith("corral: qwen3-4: There is no model 'qwen3-4' to pull; did you mean")
    assert "LLM_PULL_SOURCES" in outside
    assert failed.startswith("corral: named: ")
    assert "answered 403" in failed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check"], "--check reads the files here"),
        (["--models-dir", "models"], "give one or the other"),
        (["--manifest", "models.yaml"], "give one or the other"),
    ],
)
def test_a_server_and_the_files_here(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = corral(tmp_path, "pull", *arguments, "--url", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert said in done.stderr


def test_ctrl_c_cancels_what_was_begun(remote: Server, hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 4  # the second command takes its time to start
    first = begin_pull(tmp_path, remote.url)
    wait_until(lambda: hub.sent > 140_000, "some bytes", 30)
    second = begin_pull(tmp_path, remote.url)
    assert second.stderr is not None
    assert any("downloading" in line for line in second.stderr)
    second.send_signal(signal.SIGINT)
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 130, errors
    assert errors == "corral: the download was begun before, and goes on there\n"
    (job,) = remote.get("/admin/pulls").json()["pulls"]
    assert job["ended_at"] is None
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=30)
    assert first.returncode == 130, errors
    assert errors.endswith("corral: stopped there; the same command goes on from here\n")
    (job,) = remote.get("/admin/pulls").json()["pulls"]
    assert job["stage"] == "cancelled"
    hub.files["m.gguf"].pace = 0
    hub.asked.clear()
    assert corral(tmp_path, "pull", "named", url=remote.url).returncode == 0
    assert min(hub.starts()) > 60_000, "it went on from there"


def test_a_pull_here_stays_here(remote: Server, hub: Hub, tmp_path: Path) -> None:
    """Files here are meant where they are named, whatever server is."""
    arguments = ["pull", SOURCE, "--models-dir", "models"]
    done = corral(tmp_path, *arguments, url=remote.url, HF_ENDPOINT=hub.endpoint)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models/maker/model/m.gguf").is_file()
    assert remote.get("/v1/models/named").json()["state"] == "absent"
