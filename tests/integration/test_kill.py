"""A server that is killed keeps what was said: each stream is cut at a moment of its own.

`CORRAL_KILLS` asks for more kills than the suite can wait for.
"""

import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.postgres import find_programs, run_postgres
from tests.support.server import MODEL, SCRIPTED, Server, is_ready, launch, stop, wait_until

KILLS = int(os.environ.get("CORRAL_KILLS", "4"))
STREAMS = 20
LATE = 2.0
"""Seconds that a piece may have reached its reader without being written: many times what it takes
on an idle machine."""


@dataclass
class Talk:
    """One stream, as its reader saw it. `seen`: when how much of the text was there."""

    text: str
    response: str | None = None
    seen: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    got: str = ""
    is_item_done: bool = False
    is_over: bool = False

    def read(self, client: httpx.Client, url: str) -> None:
        body = {"model": MODEL, "input": f"say {self.text}", "stream": True}
        try:
            with client.stream("POST", f"{url}/v1/responses", json=body) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        self._note(json.loads(line.removeprefix("data: ")))
        except httpx.HTTPError:
            pass  # the server was killed

    def _note(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "response.created":
                self.response = event["response"]["id"]
            case "response.output_text.delta":
                self.got += event["delta"]
                self.seen.append((time.monotonic(), len(self.got)))
            case "response.output_item.done":
                self.is_item_done = True
            case "response.completed":
                self.is_over = True
            case _:
                pass

    def shown_before(self, moment: float) -> int:
        return max((length for at, length in self.seen if at <= moment), default=0)


def has_begun(talks: list[Talk]) -> bool:
    return any(talk.seen for talk in talks)


def make_text(number: int, words: int) -> str:
    return " ".join(f"w{number}x{index}" for index in range(words))


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    if find_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with run_postgres() as postgres:
        yield {"LLM_DATABASE_URL": postgres.url}


@contextmanager
def running(folder: Path, settings: dict[str, str]) -> Generator[Server]:
    server = launch(folder, SCRIPTED, **settings)
    try:
        wait_until(lambda: is_ready(server), "the server to be ready", 90, pause=0.05)
        yield server
    finally:
        server.process.kill()
        stop(server)


def check(server: Server, talk: Talk, killed: float) -> str:
    """What is kept of a stream. The status it has."""
    kept = server.get(f"/v1/responses/{talk.response}").json()
    inputs = server.get(f"/v1/responses/{talk.response}/input_items").json()["data"]
    assert inputs[0]["content"][0]["text"] == f"say {talk.text}"
    texts = [part["text"] for item in kept["output"] for part in item["content"]]
    text = "".join(texts)
    assert talk.text.startswith(text)
    assert len(text) >= talk.shown_before(killed - LATE), "more was streamed than is kept"
    if talk.is_over or talk.is_item_done:
        assert text == talk.text
    if talk.is_over:
        assert kept["status"] == "completed"
    if kept["status"] == "incomplete":
        assert kept["incomplete_details"] == {"reason": "interrupted"}
        assert all(item["status"] != "in_progress" for item in kept["output"])
    return kept["status"]


@pytest.mark.timeout(120 + 60 * KILLS)
def test_what_was_said_outlives_a_kill(tmp_path: Path, settings: dict[str, str]) -> None:
    chance, numbers = random.Random(7), itertools.count()
    talks: list[Talk] = []
    checked: list[tuple[Talk, float]] = []
    killed = 0.0
    client = httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None))
    statuses: list[str] = []
    for life in range(KILLS + 1):
        with running(tmp_path, settings) as server:
            told = [talk for talk in talks if talk.response is not None]
            statuses += [check(server, talk, killed) for talk in told]
            checked += [(talk, killed) for talk in told]
            if life == KILLS:
                # and nothing of it changes later
                for talk, moment in checked:
                    check(server, talk, moment)
                server.assert_no_alarm()
                break
            talks = [
                Talk(make_text(next(numbers), int(2 * 600 ** chance.random())))
                for _ in range(STREAMS)
            ]
            readers = [
                threading.Thread(target=talk.read, args=(client, server.url)) for talk in talks
            ]
            for reader in readers:
                reader.start()
                time.sleep(chance.uniform(0, 0.03))
            wait_until(partial(has_begun, talks), "a stream to begin")
            time.sleep(chance.uniform(0, 4))
            server.process.kill()
            killed = time.monotonic()
            for reader in readers:
                reader.join()
    client.close()
    print(f"{KILLS} kills: {Counter(statuses)}")
    assert set(statuses) <= {"completed", "incomplete"}
    assert statuses.count("incomplete") >= KILLS, "too few were cut"
