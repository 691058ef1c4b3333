"""Pulls from a server that behaves like the hub; one download for each file, whoever asks."""

import asyncio
import hashlib
import socket
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from app.catalog.download import Limits
from app.catalog.orders import find_wish, is_here, wishes_of
from app.catalog.pulls import Order, Pulls
from app.catalog.registry import short_names
from app.config.manifest import Manifest
from app.config.sources import HubSource, WebSource, parse_remote, shown_source
from app.core.errors import PullFailed, SourceNotFound
from app.core.pulls import PullProgress
from scripts.make_gguf import write_tiny_llama
from tests.support.hub import COMMIT, REPOSITORY, Hub, Stored, run_hub

LIMITS = Limits(attempts=3, pause=0.01, stall_seconds=1)
SOURCE = HubSource(REPOSITORY, "m.gguf")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_tiny_llama(path)
    return path.read_bytes()


@pytest.fixture
def hub(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with run_hub() as running:
        running.files["m.gguf"] = Stored(data)
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def order(source: HubSource | WebSource = SOURCE) -> Order:
    return Order(source, source.place)


async def collect(pulls: Pulls, wanted: Order) -> list[PullProgress]:
    return [progress async for progress in pulls.pull(wanted)]


async def test_a_file_of_the_hub(hub: Hub, data: bytes, tmp_path: Path) -> None:
    pulls = Pulls(tmp_path, limits=LIMITS)
    told = await collect(pulls, order())
    digest = hashlib.sha256(data).hexdigest()
    assert (tmp_path / "maker/model/m.gguf").read_bytes() == data
    assert told[0].stage == "resolving"
    assert told[-1] == PullProgress("m.gguf", "done", len(data), len(data), digest)
    pinned = pulls.pinned(SOURCE.place)
    assert pinned is not None
    assert (pinned.size, pinned.sha256, pinned.revision) == (len(data), digest, COMMIT)


async def test_the_token_stays_with_the_hub(hub: Hub, tmp_path: Path) -> None:
    await collect(Pulls(tmp_path, limits=LIMITS), order())
    seen = {(asked.host.split(":")[0], asked.authorization) for asked in hub.asked}
    assert seen == {("127.0.0.1", "Bearer hf_secret"), ("localhost", None)}


async def test_who_asks_twice_gets_the_same_download(hub: Hub, data: bytes, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.05
    pulls = Pulls(tmp_path, limits=LIMITS)
    first, second = await asyncio.gather(collect(pulls, order()), collect(pulls, order()))
    assert first[-1] == second[-1]
    assert hub.sent == len(data) + 1


async def test_it_ends_when_nobody_watches_any_more(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.2
    pulls = Pulls(tmp_path, limits=LIMITS)
    stay = asyncio.create_task(collect(pulls, order()))
    async with aclosing(pulls.pull(order())) as leaving:
        async for progress in leaving:
            if progress.done:
                break
    await asyncio.sleep(0.05)
    assert not stay.done()
    stay.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stay
    assert not (tmp_path / SOURCE.place).exists()
    hub.files["m.gguf"].pace = 0
    told = await collect(pulls, order())
    assert told[-1].stage == "done"
    assert any(progress.done for progress in told if progress.stage == "downloading")


async def test_who_comes_while_it_is_being_cancelled_begins_anew(
    hub: Hub, data: bytes, tmp_path: Path
) -> None:
    hub.files["m.gguf"].pace = 0.05
    pulls = Pulls(tmp_path, limits=LIMITS)
    leaving = asyncio.create_task(collect(pulls, order()))
    while not hub.sent:  # noqa: ASYNC110 - another thread sends
        await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0)
    told = await collect(pulls, order())
    assert told[-1].stage == "done"
    assert (tmp_path / SOURCE.place).read_bytes() == data
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (HubSource(REPOSITORY, "other.gguf"), "has no such file"),
        (HubSource(REPOSITORY, "m.gguf", "v9"), "no such revision"),
        (HubSource("maker/none", "m.gguf"), "no such repository, or it is private"),
    ],
)
async def test_what_the_hub_does_not_have(
    hub: Hub, tmp_path: Path, source: HubSource, said: str
) -> None:
    with pytest.raises(PullFailed, match=said):
        await collect(Pulls(tmp_path, limits=LIMITS), order(source))


async def test_the_digest_that_is_expected_is_compared_first(hub: Hub, tmp_path: Path) -> None:
    wanted = replace(order(), sha256="0" * 64)
    with pytest.raises(PullFailed, match=r"its SHA-256 is [0-9a-f]+ on the hub, not 0000"):
        await collect(Pulls(tmp_path, limits=LIMITS), wanted)
    assert not hub.bodies()


async def test_offline(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="LLM_OFFLINE"):
        await collect(Pulls(tmp_path, is_offline=True), order())
    assert not hub.asked


@pytest.mark.parametrize("url", ["http://example.com/m.gguf", "http://192.168.0.1/m.gguf"])
async def test_plain_http_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PullFailed, match="only https is downloaded"):
        await collect(Pulls(tmp_path, limits=LIMITS), order(WebSource(url)))


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("hf://a/b/c/m.gguf@v1", "a/b/c/m.gguf"),
        ("hf://a/b/.c/m.gguf", "a/b/c/m.gguf"),
        ("https://h.example/../../x/%2e%2e/%2Fm.gguf?sig=1", "h.example/x/m.gguf"),
        ("https://h.example/a%00b/m.gguf", "h.example/a_b/m.gguf"),
        ("https://h.example/.hidden.gguf", "h.example/hidden.gguf"),
    ],
)
def test_places_stay_inside(source: str, place: str, tmp_path: Path) -> None:
    assert parse_remote(source).place == Path(place)


def test_parts() -> None:
    found = parse_remote("hf://a/b/q8/m-00001-of-00003.gguf@v1").parts()
    assert [part.name for part in found] == [f"m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert {getattr(part, "revision", None) for part in found} == {"v1"}
    web = parse_remote("https://h.example/x/m-00001-of-00002.gguf?a=b").parts()
    assert [part.url for part in web if isinstance(part, WebSource)] == [
        f"https://h.example/x/m-0000{n}-of-00002.gguf?a=b" for n in (1, 2)
    ]


def test_short_names_are_sources() -> None:
    assert {"llama2-7b", "mistral-7b", "phi-2", "neural-chat-7b"} <= set(short_names())
    for name, source in short_names().items():
        assert isinstance(parse_remote(source), HubSource), name
        assert find_wish(name, Manifest()).orders[0].place == Path(f"{name}.gguf")


def test_ollamas_spelling_of_short_names() -> None:
    for name, place in (("qwen3:4b", "qwen3:4b"), ("llama3.2:1b:latest", "llama3.2:1b")):
        (order,) = find_wish(name, Manifest()).orders
        assert order.place == Path(f"{place}.gguf")
    same = find_wish("qwen3-4b", Manifest()).orders[0].source
    assert find_wish("qwen3:4b", Manifest()).orders[0].source == same


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(SourceNotFound, match="did you mean qwen3-4b"):
        find_wish("qwen3-4", Manifest())


async def test_what_the_manifest_pins_is_pulled_anew_when_it_changes(
    hub: Hub, tmp_path: Path
) -> None:
    def manifest(**said: object) -> Manifest:
        entry = {"id": "m", "source": f"hf://{REPOSITORY}/m.gguf", "aliases": ["a"], **said}
        return Manifest.model_validate({"models": [entry]})

    pulls = Pulls(tmp_path, limits=LIMITS)
    (wanted,) = find_wish("a", manifest()).orders
    assert not is_here(wanted, tmp_path, pulls)
    await collect(pulls, wanted)
    assert is_here(wanted, tmp_path, pulls)
    for said, expected in (
        ({"revision": COMMIT}, True),
        ({"revision": "v2"}, False),
        ({"sha256": "0" * 64}, False),
        ({"size": 17}, False),
    ):
        (wish,) = wishes_of(manifest(**said))
        assert is_here(wish.orders[0], tmp_path, pulls) is expected, said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tiny-1b:q8", "tiny-1b:q8"),
        ("hf://Maker/m/f.gguf@v1", "hf://Maker/m/f.gguf@v1"),
        ("https://u:pw@h.example:81/x.gguf?sig=1#f", "https://h.example:81/x.gguf"),
        ("https://u:p/w@h.example/x.gguf", "https://"),
        ("http://[::1]:8/x.gguf?a", "http://[::1]:8/x.gguf"),
        ("http://[::1/x.gguf?a", "http://"),
    ],
)
def test_sources_are_shown_without_secrets(text: str, shown: str) -> None:
    assert shown_source(text) == shown


@pytest.mark.parametrize(
    "source",
    ["https://h.example:99999/x.gguf", "https://h.example:x/x.gguf", "hf://a/b/\x1b[2J.gguf"],
)
def test_odd_sources_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"Port|control"):
        parse_remote(source)


async def test_a_hub_that_is_silent_holds_up_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        source = HubSource("maker/model", "m.gguf")
        pulls = Pulls(tmp_path, allows_http=True)
        async with aclosing(pulls.pull(Order(source, Path("m.gguf")))) as told:
            assert (await anext(told)).stage == "resolving"
            asked, _ = await asyncio.to_thread(silent.accept)  # and it says nothing
            before = time.monotonic()
        assert time.monotonic() - before < 5  # the hub would be given much longer
        asked.close()
