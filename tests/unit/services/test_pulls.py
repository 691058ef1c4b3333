"""Downloads that a server runs: shared, queued, watched, cancelled, resumed, refused."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.catalog import orders
from app.catalog.download import Limits
from app.catalog.pulls import Pulls
from app.config.manifest import Manifest
from app.core.errors import (
    BadRequest,
    ConfigurationError,
    CorralError,
    DiskFull,
    Draining,
    ModelLoading,
    PullFailed,
    PullNotFound,
    PullRefused,
    QueueFull,
    SourceNotFound,
)
from app.core.pulls import PullJob
from app.pool.roster import Changes
from app.services.pulls import PullService
from app.telemetry.metrics import Metrics
from scripts.make_gguf import write_tiny_llama
from tests.support.hub import REPOSITORY, Fault, Hub, Stored, run_hub
from tests.unit.services.scripted import ScriptedEngine, ScriptedPool

LIMITS = Limits(attempts=3, pause=0.01, stall_seconds=0.5)
SOURCE = f"hf://{REPOSITORY}/m.gguf"
ORDER = ("queued", "resolving", "downloading", "verifying", "finishing", "done")
OTHER = f"hf://{REPOSITORY}/n.gguf"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_tiny_llama(path)
    return path.read_bytes()


@pytest.fixture
def hub(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(orders, "short_names", lambda: {"tiny-1b": SOURCE})
    with run_hub() as running:
        running.files |= {name: Stored(data) for name in ("m.gguf", "n.gguf", "o.gguf")}
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


@dataclass
class Kept:
    """A service and what it works on; `refusal` is what reading the catalog again comes to."""

    folder: Path
    manifest: Manifest = field(default_factory=Manifest)
    limit: int = 1
    is_offline: bool = False
    sources: tuple[str, ...] = ("hf://",)
    refusal: CorralError | None = None
    reloads: int = 0
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.pool = ScriptedPool(ScriptedEngine())
        files = Pulls(
            self.folder,
            is_offline=self.is_offline,
            limits=LIMITS,
            count_bytes=self.metrics.count_pull_bytes,
        )
        self.service = PullService(
            files,
            self.pool,
            self.folder,
            lambda: self.manifest,
            self._reload,
            sources=self.sources,
            limit=self.limit,
            metrics=self.metrics,
        )
        self.metrics.watch_pulls(self.service.count_running, self.service.count_waiting)

    def metric(self, name: str, **labels: str) -> float:
        lines = self.metrics.render()[0].decode().splitlines()
        told = ",".join(f'{label}="{value}"' for label, value in labels.items())
        wanted = f"{name}{{{told}}} " if told else f"{name} "
        (found,) = (line for line in lines if line.startswith(wanted))
        return float(found.removeprefix(wanted))

    async def _reload(self) -> Changes:
        self.reloads += 1
        if self.refusal is not None:
            raise self.refusal
        return Changes()


@asynccontextmanager
async def keep(folder: Path, **changes: object) -> AsyncGenerator[Kept]:
    kept = Kept(folder, **changes)  # pyright: ignore[reportArgumentType]
    try:
        yield kept
    finally:
        await kept.service.close()


async def finish(service: PullService, job: PullJob) -> list[PullJob]:
    """Every state that a watcher sees."""
    watch = service.watch(job.id)
    try:
        return [state async for state in watch.states()]
    finally:
        watch.close()


async def reach(service: PullService, job: PullJob, stage: str) -> None:
    """Until the job has come so far, with some bytes where it downloads."""
    watch = service.watch(job.id)
    async with aclosing(watch.states()) as states:
        async for state in states:
            if state.stage == stage and (state.done or stage != "downloading"):
                break
    watch.close()


async def test_a_short_name_names_the_model(hub: Hub, data: bytes, tmp_path: Path) -> None:
    async with keep(tmp_path) as kept:
        states = await finish(kept.service, await kept.service.start("tiny-1b"))
        assert (tmp_path / "tiny-1b.gguf").read_bytes() == data
        stages = [state.stage for state in states]
        assert {"downloading", "done"} <= set(stages)
        assert stages == sorted(stages, key=ORDER.index)
        assert [state.done for state in states] == sorted(state.done for state in states)
        last = states[-1]
        assert (last.done, last.size, last.error) == (len(data), len(data), None)
        assert last.files[0].sha256 is not None
        assert kept.reloads == 1
        # as Ollama writes it, the model has that name
        await finish(kept.service, await kept.service.start("tiny:1b:latest"))
        assert (tmp_path / "tiny:1b.gguf").is_file()


async def test_what_is_here_is_not_fetched_again_unless_it_is_forced(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    async with keep(tmp_path) as kept:
        await finish(kept.service, await kept.service.start("tiny-1b"))
        sent = hub.sent
        again = (await finish(kept.service, await kept.service.start("tiny-1b")))[-1]
        assert (again.stage, again.done, hub.sent) == ("done", len(data), sent)
        job = await kept.service.start("tiny-1b", is_forced=True)
        assert (await finish(kept.service, job))[-1].stage == "done"
        assert hub.sent >= sent + len(data)


async def test_who_asks_meanwhile_gets_the_same_job(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        first = await kept.service.start(SOURCE)
        watch = await kept.service.follow(SOURCE)
        assert len(kept.service.all()) == 1
        assert (await watch.wait()).id == first.id
        watch.close()
        assert hub.sent == len(data) + 1


async def test_it_ends_with_its_only_watcher_unless_it_is_kept(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        one, other = await kept.service.follow(SOURCE), await kept.service.follow(SOURCE)
        (job,) = kept.service.all()
        await reach(kept.service, job, "downloading")
        one.close()
        await asyncio.sleep(0.05)
        assert not kept.service.get(job.id).is_over
        other.close()
        other.close()
        last = (await finish(kept.service, job))[-1]
        assert last.stage == "cancelled"
        assert last.error is not None
        assert not (tmp_path / "maker/model/m.gguf").exists()
        # somebody keeps the next one, which goes on from there
        await reach(kept.service, await kept.service.start(SOURCE), "downloading")
        watch = await kept.service.follow(SOURCE)
        watch.close()
        assert (await finish(kept.service, kept.service.all()[-1]))[-1].stage == "done"
        assert hub.sent < 2 * len(data)


async def test_who_comes_while_it_is_being_cancelled_gets_the_model(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        watch = await kept.service.follow(SOURCE)
        await reach(kept.service, kept.service.all()[0], "downloading")
        watch.close()
        job = await kept.service.start(SOURCE)
        assert (await finish(kept.service, job))[-1].stage == "done"
        assert [one.stage for one in kept.service.all()] == ["cancelled", "done"]
    assert (tmp_path / "maker/model/m.gguf").read_bytes() == data


async def test_others_wait_in_a_queue_that_shows_and_ends(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.1
    async with keep(tmp_path) as kept:
        first = await kept.service.start(SOURCE)
        await reach(kept.service, first, "downloading")
        second = await kept.service.start(OTHER)
        third = await kept.service.start(f"hf://{REPOSITORY}/o.gguf")
        await asyncio.sleep(0.1)
        stages = [job.stage for job in kept.service.all()]
        assert stages == ["downloading", "queued", "queued"]
        assert (await kept.service.cancel(third.id)).stage == "cancelled"
        assert (await kept.service.cancel(first.id)).stage == "cancelled"
        assert (await finish(kept.service, second))[-1].stage == "done"
        assert not (tmp_path / "maker/model/o.gguf").exists()
        with pytest.raises(PullNotFound):
            kept.service.get("pull_none")


async def test_the_queue_is_bounded(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 1
    async with keep(tmp_path) as kept:
        for number in range(33):
            await kept.service.start(f"hf://{REPOSITORY}/a{number}.gguf" if number else SOURCE)
        with pytest.raises(QueueFull):
            await kept.service.start(OTHER)


async def test_old_jobs_are_forgotten(hub: Hub, tmp_path: Path) -> None:
    async with keep(tmp_path) as kept:
        await finish(kept.service, await kept.service.start(SOURCE))
        for _ in range(60):
            await finish(kept.service, await kept.service.start(SOURCE))
        assert len(kept.service.all()) == 50


@pytest.mark.parametrize(
    ("model", "sources", "error"),
    [
        ("tiny-2b", ("hf://",), SourceNotFound),
        ("hf://a/b/c.txt", ("hf://",), BadRequest),
        ("hf://a/b/../c.gguf", ("hf://",), BadRequest),
        (SOURCE, (), PullRefused),
        (SOURCE, ("hf://other/",), PullRefused),
        ("https://h.example/m.gguf", ("hf://",), PullRefused),
        ("https://h.example.evil/m.gguf", ("https://h.example",), PullRefused),
        ("https://h.example@evil/m.gguf", ("https://",), BadRequest),
        ("https://h.example/ok/../m.gguf", ("https://h.example/ok/",), PullRefused),
        ("https://h.example/ok/%2e%2e/m.gguf", ("https://h.example/ok/",), PullRefused),
        ("file:///etc/m.gguf", ("hf://", "https://"), SourceNotFound),
        ("../../m.gguf", ("hf://",), SourceNotFound),
    ],
)
async def test_what_is_refused_before_anything_is_asked(
    hub: Hub, tmp_path: Path, model: str, sources: tuple[str, ...], error: type[CorralError]
) -> None:
    async with keep(tmp_path, sources=sources) as kept:
        with pytest.raises(error):
            await kept.service.start(model)
    assert not hub.asked
    assert not os.listdir(tmp_path)  # noqa: PTH208 - a Path's listing would block as well


async def test_names_and_the_manifest_are_always_allowed(hub: Hub, tmp_path: Path) -> None:
    manifest = Manifest.model_validate({"models": [{"id": "m", "source": SOURCE}]})
    async with keep(tmp_path, sources=(), manifest=manifest) as kept:
        for name in ("tiny-1b", "m", "m:latest"):
            assert (await finish(kept.service, await kept.service.start(name)))[-1].stage == "done"


async def test_a_web_server_where_it_is_allowed(hub: Hub, data: bytes, tmp_path: Path) -> None:
    async with keep(tmp_path, sources=(hub.endpoint,)) as kept:
        last = (await finish(kept.service, await kept.service.start(hub.url("m.gguf"))))[-1]
        assert last.stage == "done"
        assert (tmp_path / "127.0.0.1/files/m.gguf").read_bytes() == data


async def test_offline_only_what_is_here(hub: Hub, tmp_path: Path) -> None:
    async with keep(tmp_path) as kept:
        await finish(kept.service, await kept.service.start(SOURCE))
    asked = len(hub.asked)
    async with keep(tmp_path, is_offline=True) as kept:
        assert (await finish(kept.service, await kept.service.start(SOURCE)))[-1].stage == "done"
        for model, is_forced in ((OTHER, False), (SOURCE, True)):
            with pytest.raises(PullRefused, match="LLM_OFFLINE"):
                await kept.service.start(model, is_forced=is_forced)
    assert len(hub.asked) == asked


async def test_what_is_served_and_comes_from_nowhere(tmp_path: Path) -> None:
    async with keep(tmp_path) as kept:
        last = (await finish(kept.service, await kept.service.start("plain")))[-1]
        assert (last.stage, last.name, last.files) == ("done", "plain", ())
        with pytest.raises(BadRequest, match="cannot be downloaded again"):
            await kept.service.start("plain", is_forced=True)
        with pytest.raises(SourceNotFound):
            await kept.service.start("gone")


async def test_a_shutdown_ends_it_and_the_next_pull_goes_on(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        await reach(kept.service, await kept.service.start(SOURCE), "downloading")
        watch = await kept.service.follow(SOURCE)
        kept.service.drain()
        with pytest.raises(Draining, match="kept"):
            await watch.wait()
        watch.close()
        with pytest.raises(Draining):
            await kept.service.start(OTHER)
    hub.files["m.gguf"].pace = 0
    async with keep(tmp_path) as kept:
        states = await finish(kept.service, await kept.service.start(SOURCE))
        begun = [state.done for state in states if state.stage == "downloading"]
        assert begun
        assert begun[0] > 0
        assert (tmp_path / "maker/model/m.gguf").read_bytes() == data


@pytest.mark.parametrize("fault", ["drop", "stall", "busy", "ignore"])
async def test_what_a_bad_line_does_is_mended(
    hub: Hub, data: bytes, tmp_path: Path, fault: Fault
) -> None:
    hub.files["m.gguf"].faults = [fault]
    async with keep(tmp_path) as kept:
        assert (await finish(kept.service, await kept.service.start(SOURCE)))[-1].stage == "done"
    assert (tmp_path / "maker/model/m.gguf").read_bytes() == data


@pytest.mark.parametrize(
    ("fault", "words"),
    [("drop", "broke off 3 times"), ("twist", "its SHA-256 is"), ("gone", "404")],
)
async def test_what_cannot_be_mended_is_said_and_a_later_pull_succeeds(
    hub: Hub, data: bytes, tmp_path: Path, fault: Fault, words: str
) -> None:
    hub.files["m.gguf"].faults = [fault] * (3 if fault == "drop" else 1)
    hub.files["m.gguf"].has_ranges = fault != "drop"
    async with keep(tmp_path) as kept:
        failed = (await finish(kept.service, await kept.service.start(SOURCE)))[-1]
        assert failed.stage == "failed"
        assert isinstance(failed.error, PullFailed)
        assert words in failed.error.message
        assert not (tmp_path / "maker/model/m.gguf").exists()
        hub.files["m.gguf"].faults = []
        assert (await finish(kept.service, await kept.service.start(SOURCE)))[-1].stage == "done"
    assert (tmp_path / "maker/model/m.gguf").read_bytes() == data


async def test_a_full_disk(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)

    def usage(_: Path) -> object:
        return full

    monkeypatch.setattr(shutil, "disk_usage", usage)
    async with keep(tmp_path) as kept:
        failed = (await finish(kept.service, await kept.service.start(SOURCE)))[-1]
        assert isinstance(failed.error, DiskFull)
    assert not hub.bodies()


async def test_a_manifest_that_is_broken_meanwhile(hub: Hub, tmp_path: Path) -> None:
    async with keep(tmp_path, refusal=ConfigurationError("models.yaml:1: no")) as kept:
        failed = (await finish(kept.service, await kept.service.start(SOURCE)))[-1]
        assert failed.stage == "failed"
        assert isinstance(failed.error, ConfigurationError)


async def test_a_request_waits_for_so_long_and_the_download_goes_on(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        with pytest.raises(ModelLoading, match="being downloaded"):
            await kept.service.bring("tiny-1b", patience=0.1)
        await reach(kept.service, kept.service.all()[0], "downloading")
        share = kept.service.progress("tiny-1b")
        assert share is not None
        assert 0 < share <= 1
        assert kept.service.progress("other") is None
        await kept.service.bring("tiny-1b", patience=30)
        assert kept.service.progress("tiny-1b") is None
        assert (tmp_path / "tiny-1b.gguf").is_file()
        assert len(kept.service.all()) == 1


async def test_what_is_counted(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.05
    async with keep(tmp_path) as kept:
        first = await kept.service.start(SOURCE)
        await reach(kept.service, first, "downloading")
        await kept.service.start(OTHER)
        await kept.service.start("tiny-1b")
        assert kept.metric("corral_pulls_running") == 1
        assert kept.metric("corral_pulls_waiting") == 2
        await kept.service.cancel(first.id)
        before = kept.metric("corral_pull_bytes_total")
        assert 0 < before < len(data)
        for job in kept.service.all():
            await finish(kept.service, job)
        assert kept.metric("corral_pull_bytes_total") == before + 2 * len(data)
        hub.files["m.gguf"].pace = 0
        await finish(kept.service, await kept.service.start(SOURCE))
        assert before < kept.metric("corral_pull_bytes_total") - 2 * len(data) <= len(data)
        hub.files["o.gguf"].faults = ["gone"]
        await finish(kept.service, await kept.service.start(f"hf://{REPOSITORY}/o.gguf"))
        ended = {
            outcome: kept.metric("corral_pulls_total", outcome=outcome)
            for outcome in ("done", "failed", "cancelled")
        }
        assert ended == {"done": 3, "failed": 1, "cancelled": 1}
        assert kept.metric("corral_pulls_running") == kept.metric("corral_pulls_waiting") == 0


@pytest.mark.parametrize("name", ["hf.co/maker/model:m", "huggingface.co/maker/model:M"])
async def test_a_name_of_ollama_s_for_a_file_on_the_hub(
    hub: Hub, data: bytes, tmp_path: Path, name: str
) -> None:
    async with keep(tmp_path) as kept:
        assert (await finish(kept.service, await kept.service.start(name)))[-1].stage == "done"
        with pytest.raises(
            SourceNotFound, match=r"no model of Q9_0 in maker/model: it has m\.gguf"
        ):
            await kept.service.start("hf.co/maker/model:Q9_0")
        with pytest.raises(PullFailed, match="there is no such repository"):
            await kept.service.start("hf.co/maker/none")
    assert (tmp_path / "maker/model/m.gguf").read_bytes() == data
    hub.asked.clear()
    async with keep(tmp_path, sources=("hf://other/",)) as kept:
        with pytest.raises(PullRefused, match="LLM_PULL_SOURCES"):
            await kept.service.start(name)
    async with keep(tmp_path, is_offline=True) as kept:
        with pytest.raises(PullRefused, match="LLM_OFFLINE"):
            await kept.service.start(name)
    assert not hub.asked
