import sys
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import click
import pytest

from app.cli.bench.results import Parameters
from app.cli.bench.workloads import WORKLOADS
from scripts.bench.__main__ import EXTRAS, write_page
from scripts.bench.plan import Fleet
from scripts.bench.servers import SOURCE, Server, running
from scripts.bench.sessions import Session, run_batched_bench, run_round
from scripts.bench.store import Store
from scripts.bench.targets import BATCHED, CORRAL, CORRAL_SPLIT, PEER, PEER_SPLIT

SERVE = """
from aiohttp import web
from tests.unit.cli.bench.fake_server import FakeServer
web.run_app(FakeServer({options}).app(), host="127.0.0.1", port={port}, print=None)
"""
MORTAL = """
import os
from aiohttp import web
from tests.unit.cli.bench.fake_server import FakeServer
class Mortal(FakeServer):
    async def _chat(self, request):
        if (await request.json())["max_tokens"] == 8:
            os._exit(1)
        return await super()._chat(request)
web.run_app(Mortal().app(), host="127.0.0.1", port={port}, print=None)
"""
"""Dies of the answers that prefill asks for."""
MODEL = Path("fake.gguf")
PARAMETERS = Parameters(["decode"], [2], 1, 0.01, 3, 0, ignore_eos=True)


def fake(label: str = CORRAL, options: str = "") -> Server:
    script = SERVE.replace("{options}", options)
    arguments = [sys.executable, "-c", script]
    return Server(label, arguments, "/health", {"PYTHONPATH": str(SOURCE)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "benchmarks.json", [("Model", "`fake.gguf`")], PARAMETERS)


def session(server: Server, *workloads: str, has_facts: bool = False, prefix: str = "") -> Session:
    return Session(server, MODEL, workloads or ("decode",), (2,), prefix, has_facts=has_facts)


def test_a_server_runs_only_inside_the_block() -> None:
    with running(fake()) as server:
        assert not server.has_ended(0)
        assert 0 < server.ready_s < 60
        with urlopen(f"{server.url}/v1/models") as answer:
            assert answer.status == 200
    assert server.has_ended(0)
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{server.url}/v1/models")


def test_a_server_that_does_not_start_is_quoted() -> None:
    broken = replace(fake(), arguments=[sys.executable, "-c", "raise SystemExit('no model')"])
    with (
        pytest.raises(click.ClickException, match="Corral did not start:\nno model"),
        running(broken),
    ):
        pass


def test_rounds_are_kept_and_gone_on_with(store: Store, tmp_path: Path) -> None:
    sessions = [session(fake()), session(fake(PEER), prefix="small-")]
    run_round([sessions], store, 0, has_reuse=False)
    again = Store(store.path, store.setup, PARAMETERS)
    again.resume()
    assert again.reports == store.reports
    assert [again.passes(CORRAL, "decode", 2), again.passes(PEER, "small-decode", 2)] == [1, 1]
    assert again.passes(PEER, "decode", 2) == 0
    run_round([sessions], again, 0, has_reuse=False)
    assert again.passes(CORRAL, "decode", 2) == 1
    run_round([sessions], again, 1, has_reuse=False)
    assert again.passes(CORRAL, "decode", 2) == 2
    write_page(again, tmp_path)
    assert "median of 2 passes" in (tmp_path / "benchmarks.md").read_text()
    assert (tmp_path / "benchmarks.svg").exists()


def test_servers_of_a_group_take_turns(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    group = [session(fake(name), "decode", "health") for name in (CORRAL, PEER)]
    for number in range(2):
        run_round([group], store, number, has_reuse=False)
    lines = capsys.readouterr().err.splitlines()
    said = [line.split(": ")[:2] for line in lines if line.startswith("round")]
    assert said[:4] == [["round 1", name] for name in (CORRAL, PEER, PEER, CORRAL)]
    assert said[4:] == [["round 2", name] for name in (PEER, CORRAL, CORRAL, PEER)]


def test_facts_of_a_server(store: Store) -> None:
    run_round([[session(fake(), "health", has_facts=True)]], store, 0, has_reuse=False)
    facts = store.facts[CORRAL]
    assert facts["first answer s"][0] > facts["ready s"][0] > 0
    assert facts["ready MiB"][0] > 1
    assert 0 <= facts["idle cpu %"][0] < 100
    assert facts["sequence KiB"][0] >= 0


def test_a_broken_server_does_not_keep_others_from_running(store: Store) -> None:
    broken = replace(fake(PEER), arguments=[sys.executable, "-c", "raise SystemExit('oh no')"])
    run_round([[session(broken), session(fake())]], store, 0, has_reuse=False)
    assert store.passes(CORRAL, "decode", 2) == 1
    assert store.problems == ["llama-server: llama-server did not start:\noh no"]


def test_a_server_that_dies_is_started_again_for_the_rest(store: Store) -> None:
    mortal = replace(fake(), arguments=[sys.executable, "-c", MORTAL])
    run_round([[session(mortal, "prefill", "multi-turn")]], store, 0, has_reuse=False)
    assert store.passes(CORRAL, "prefill", 4) == 0
    assert store.passes(CORRAL, "multi-turn", 4) == 1
    assert "Corral: the server ended during prefill, 4 streams" in store.problems


def test_failed_requests_are_no_pass(store: Store) -> None:
    server = fake(options="answer='no JSON'")
    run_round([[session(server, "json-schema", "decode")]], store, 0, has_reuse=False)
    assert store.passes(CORRAL, "json-schema", 4) == 0
    assert store.passes(CORRAL, "decode", 2) == 1
    assert "not JSON" in store.problems[0]


def test_another_run_is_not_gone_on_with(store: Store) -> None:
    with pytest.raises(click.ClickException, match="cannot go on"):
        store.resume()
    store.save()
    for other in (
        Store(store.path, store.setup, replace(PARAMETERS, scale=2.0)),
        Store(store.path, [("Model", "`other.gguf`")], PARAMETERS),
    ):
        with pytest.raises(click.ClickException, match="another run"):
            other.resume()


def test_the_rate_without_a_server(store: Store, tmp_path: Path) -> None:
    binary = tmp_path / "bench"
    binary.write_text('#!/bin/sh\necho loading\necho \'{"pl": 16, "speed_tg": 88.5}\'\n')
    binary.chmod(0o755)
    run_batched_bench(binary, MODEL, 1, store)
    assert store.fact(BATCHED, "tok/s") == 88.5
    binary.write_text("#!/bin/sh\nexit 1\n")
    run_batched_bench(binary, MODEL, 1, store)
    assert store.facts[BATCHED]["tok/s"] == [88.5]
    assert "exit status 1" in store.problems[0]


def test_every_workload_has_its_servers(tmp_path: Path) -> None:
    for name in ("big.gguf", "small.gguf", "server"):
        (tmp_path / name).touch()
    (tmp_path / "models").mkdir()
    big, small = tmp_path / "big.gguf", tmp_path / "small.gguf"
    fleet = Fleet(big, small, tmp_path / "server", tmp_path / "models", threads=2)
    groups = fleet.groups((*WORKLOADS, *EXTRAS))
    sessions = [item for group in groups for item in group]
    assert {name for item in sessions for name in item.workloads} == set(WORKLOADS)
    labels = [[item.server.label for item in group] for group in groups]
    both_ways = [CORRAL, PEER, CORRAL_SPLIT, PEER_SPLIT]
    assert labels == [both_ways, [CORRAL, PEER], both_ways]
    assert (tmp_path / "models" / "small" / "small.gguf").exists()
    for item in sessions:
        settings, arguments = item.server.environment, item.server.arguments
        is_split = "-kvu" not in arguments
        if item.server.label in (CORRAL, CORRAL_SPLIT):
            is_split = settings.get("LLM_KV_UNIFIED") == "false"
        assert is_split == (item.server.label in (CORRAL_SPLIT, PEER_SPLIT))
    alone = Fleet(big, None, None, tmp_path / "models", threads=2).groups(("decode",))
    assert [item.server.label for group in alone for item in group] == [CORRAL, CORRAL_SPLIT]
