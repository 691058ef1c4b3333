"""Downloads from a server that drops, stalls, lies and changes its mind."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalog import download as module
from app.catalog import transfer
from app.catalog.download import Download, Limits, Wanted
from app.catalog.transfer import Origin
from app.core.errors import DiskFull, PullFailed
from app.core.pulls import PullProgress
from scripts.make_gguf import write_tiny_llama
from tests.support.hub import Fault, Hub, Stored, run_hub
from tests.support.server import wait_until

LIMITS = Limits(
    attempts=3, pause=0.01, stall_seconds=0.5, connections=4, chunk=65_536, parallel_from=100_000
)
FAILS: list[Fault] = ["drop", "gone"]
ONE = Limits(attempts=3, pause=0.01, stall_seconds=0.5, connections=1, chunk=2**30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_tiny_llama(path)
    return path.read_bytes()


@pytest.fixture
def hub(data: bytes) -> Iterator[Hub]:
    with run_hub() as running:
        running.files["m.gguf"] = Stored(data)
        yield running


def make(
    hub: Hub, folder: Path, limits: Limits = LIMITS, size: int | None = None, sha: str | None = None
) -> tuple[Download, list[PullProgress]]:
    told: list[PullProgress] = []
    wanted = Wanted(Origin(hub.url("m.gguf")), folder / "m.gguf", size, sha)
    return Download(wanted, folder / "partial", told.append, limits), told


def left(folder: Path) -> list[str]:
    """What a download left behind, but for its lock."""
    return [path.name for path in (folder / "partial").iterdir() if path.suffix != ".lock"]


async def test_a_whole_file(hub: Hub, data: bytes, tmp_path: Path) -> None:
    digest = hashlib.sha256(data).hexdigest()
    download, told = make(hub, tmp_path, size=len(data), sha=digest)
    assert await download.run() == (len(data), digest)
    assert (tmp_path / "m.gguf").read_bytes() == data
    assert not left(tmp_path)
    assert told[-1] == PullProgress("m.gguf", "done", len(data), len(data), digest)
    assert {progress.stage for progress in told} == {"downloading", "verifying", "done"}
    spans = hub.bodies()
    assert len(spans) == -(-len(data) // LIMITS.chunk)
    assert hub.sent == len(data) + 1


async def test_several_connections_at_a_time(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.1
    download, _ = make(hub, tmp_path)
    await download.run()
    assert hub.most_active >= LIMITS.connections


@pytest.mark.parametrize("limits", [LIMITS, ONE], ids=["parallel", "one"])
@pytest.mark.parametrize(
    "faults",
    [
        ["drop"],
        ["stall"],
        ["busy", "busy"],
        ["drop", "drop", "drop", "drop"],
        ["drop", "busy", "stall", "drop"],
        ["ignore"],
        ["other"],
    ],
    ids="-".join,
)
async def test_what_goes_wrong_for_a_while(
    hub: Hub, data: bytes, tmp_path: Path, faults: list[Fault], limits: Limits
) -> None:
    hub.files["m.gguf"].faults += faults
    download, _ = make(hub, tmp_path, limits)
    await download.run()
    assert (tmp_path / "m.gguf").read_bytes() == data
    assert not left(tmp_path)


async def test_what_is_here_is_not_fetched_again(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].faults += FAILS
    download, _ = make(hub, tmp_path, ONE)
    with pytest.raises(PullFailed, match="404"):
        await download.run()
    assert not (tmp_path / "m.gguf").exists()
    hub.asked.clear()
    download, told = make(hub, tmp_path, ONE)
    await download.run()
    assert (tmp_path / "m.gguf").read_bytes() == data
    assert min(hub.starts()) >= len(data) // 2
    assert told[0].done >= len(data) // 2


async def test_a_file_that_changed_meanwhile_is_fetched_anew(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    hub.files["m.gguf"].faults += FAILS
    with pytest.raises(PullFailed):
        await make(hub, tmp_path, ONE)[0].run()
    hub.files["m.gguf"] = Stored(data + bytes(64), version=2)
    await make(hub, tmp_path, ONE)[0].run()
    assert (tmp_path / "m.gguf").read_bytes() == data + bytes(64)


@pytest.mark.parametrize("has_length", [True, False])
async def test_a_server_without_ranges(
    hub: Hub, data: bytes, tmp_path: Path, has_length: bool
) -> None:
    stored = hub.files["m.gguf"]
    stored.has_ranges, stored.has_length = False, has_length
    stored.faults.append("busy")
    await make(hub, tmp_path)[0].run()
    assert (tmp_path / "m.gguf").read_bytes() == data


async def test_a_cut_off_file_of_unknown_length_is_found_out(hub: Hub, tmp_path: Path) -> None:
    stored = hub.files["m.gguf"]
    stored.has_ranges = stored.has_length = False
    stored.faults.append("drop")
    with pytest.raises(PullFailed, match="cut short"):
        await make(hub, tmp_path)[0].run()
    assert not left(tmp_path)


async def test_a_file_of_unknown_length_ends_where_it_has_to(hub: Hub, tmp_path: Path) -> None:
    stored = hub.files["m.gguf"]
    stored.has_ranges = stored.has_length = False
    stored.data += bytes(8 * 1024 * 1024)
    with pytest.raises(PullFailed, match="more than the 1000 bytes"):
        await make(hub, tmp_path, size=1000)[0].run()
    assert not left(tmp_path)


async def test_a_disk_that_fills_up_meanwhile(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = hub.files["m.gguf"]
    stored.has_ranges = stored.has_length = False
    monkeypatch.setattr(module, "_SAVE_SECONDS", 0)
    free = iter([2**40])

    class Usage:
        def __init__(self) -> None:
            self.free = next(free, 1000)

    def usage(_: Path) -> Usage:
        return Usage()

    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    with pytest.raises(DiskFull, match=r"where 0\.00 GB are free"):
        await make(hub, tmp_path)[0].run()


async def test_wrong_bytes_are_found_out(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].faults.append("twist")
    download, _ = make(hub, tmp_path, ONE, sha=hashlib.sha256(data).hexdigest())
    with pytest.raises(PullFailed, match="its SHA-256 is"):
        await download.run()
    assert not (tmp_path / "m.gguf").exists()
    assert not left(tmp_path)


async def test_what_is_no_model_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"] = Stored(b"<html>Please log in</html>")
    with pytest.raises(PullFailed, match="not a GGUF file"):
        await make(hub, tmp_path)[0].run()


async def test_another_size_is_refused_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="17 were expected"):
        await make(hub, tmp_path, size=17)[0].run()
    assert not hub.bodies()


@pytest.mark.parametrize(
    ("faults", "said"), [(["busy"] * 9, "broke off 3 times"), (["forbidden"], "HF_TOKEN")]
)
async def test_what_does_not_get_better(
    hub: Hub, tmp_path: Path, faults: list[Fault], said: str
) -> None:
    hub.files["m.gguf"].faults += faults
    with pytest.raises(PullFailed, match=said):
        await make(hub, tmp_path, ONE)[0].run()


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match=r"broke off 3 times \(ConnectError"):
        await make(Hub(9), tmp_path)[0].run()


async def test_a_full_disk_is_said_before(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    def usage(_: Path) -> type[Usage]:
        return Usage

    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    with pytest.raises(DiskFull, match=r"where 0\.00 GB are free"):
        await make(hub, tmp_path)[0].run()
    assert not hub.bodies()


@pytest.mark.parametrize(
    "place", ["http://example.com/m.gguf", "ftp://example.com/m.gguf", "file:///etc/passwd"]
)
async def test_redirects_keep_to_https(hub: Hub, tmp_path: Path, place: str) -> None:
    hub.redirect = place
    with pytest.raises(PullFailed, match="only https is downloaded"):
        await make(hub, tmp_path)[0].run()


async def test_no_redirect_leads_to_this_machine(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_LOCAL", frozenset({"localhost"}))
    hub.redirect = f"http://localhost:{hub.port}/files/m.gguf"
    origin = transfer.Origin(hub.url("m.gguf"), allows_http=True)
    async with transfer.make_client(1) as client:
        with pytest.raises(PullFailed, match="redirects to this machine"):
            await transfer.identify(client, origin)
    assert len(hub.asked) == 1


async def test_redirects_end(hub: Hub, tmp_path: Path) -> None:
    hub.redirect = hub.url("m.gguf")
    with pytest.raises(PullFailed, match="redirects"):
        await make(hub, tmp_path)[0].run()


async def test_it_can_be_cancelled_and_goes_on(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.05
    download, told = make(hub, tmp_path, ONE)
    running = asyncio.create_task(download.run())
    await asyncio.to_thread(
        wait_until, lambda: any(progress.done for progress in told), "some bytes"
    )
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    hub.files["m.gguf"].pace = 0
    download, told = make(hub, tmp_path, ONE)
    await download.run()
    assert told[0].done > 0
    assert (tmp_path / "m.gguf").read_bytes() == data


PROGRAM = """
import asyncio, sys
from pathlib import Path
from app.catalog.download import Download, Limits, Wanted
from app.catalog.transfer import Origin
folder = Path(sys.argv[2])
wanted = Wanted(Origin(sys.argv[1]), folder / "m.gguf")
limits = Limits(chunk=65536, connections=2, parallel_from=1)
print(asyncio.run(Download(wanted, folder / "partial", lambda _: None, limits).run()))
"""


def start_process(hub: Hub, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, hub.url("m.gguf"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )


def kept(folder: Path) -> int:
    """Bytes that the books of the download speak of."""
    books = [json.loads(path.read_text()) for path in (folder / "partial").glob("*.json")]
    return sum(end - start for book in books for start, end in book["done"])


async def test_a_killed_download_goes_on(hub: Hub, data: bytes, tmp_path: Path) -> None:
    big = data + bytes(4_000_000)
    hub.files["m.gguf"] = Stored(big, pace=0.1)
    process = start_process(hub, tmp_path)
    wait_until(lambda: kept(tmp_path) > 500_000, "a part of the file", 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.files["m.gguf"].pace = 0
    hub.asked.clear()
    download, told = make(hub, tmp_path)
    await download.run()
    assert told[0].done > 500_000
    assert 0 not in hub.starts()
    assert (tmp_path / "m.gguf").read_bytes() == big


def test_two_processes_fetch_a_file_once(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.3
    processes = [start_process(hub, tmp_path) for _ in range(2)]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert answers == {f"{(len(data), hashlib.sha256(data).hexdigest())}\n"}
    assert hub.sent == len(data) + 1
