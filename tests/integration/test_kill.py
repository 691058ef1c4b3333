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
from tests.support.server import MODEL, Server, is_ready, launch, stop, wait_until

KILLS = int(os.environ.get("CORRAL_KILLS", "4"))
STREAMS = 20
REASONS = {"interrupted", "max_output_tokens"}
LATE = 2.0
"""Seconds that a piece may have reached its reader without being written: many times what it takes
on an idle machine."""


@dataclass
class Talk:
    """One stream, as its reader saw it. `seen`: when how much of the text was there."""

    question: str
    tokens: int
    response: str | None = None
    seen: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    got: str = ""
    is_item_done: bool = False
    is_over: bool = False

    def read(self, client: httpx.Client, url: str) -> None:
        body = {
            "model": MODEL,
            "input": self.question,
            "max_output_tokens": self.tokens,
            "ignore_eos": True,
            "temperature": 1,
            "stream": True,
        }
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
            case "response.incomplete":  # all its tokens
                self.is_over = True
            case _:
                pass

    def shown_before(self, moment: float) -> int:
        return max((length for at, length in self.seen if at <= moment), default=0)


def has_begun(talks: list[Talk]) -> bool:
    return any(talk.seen for talk in talks)


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
    server = launch(folder, **settings)
    try:
        wait_until(lambda: is_ready(server), "the server to be ready", 90, pause=0.05)
        yield server
    finally:
        server.process.kill()
        stop(server)


def check(server: Server, talk: Talk, killed: float) -> str:
    """What is kept of a stream. Why it ended."""
    kept = server.get(f"/v1/responses/{talk.response}").json()
    inputs = server.get(f"/v1/responses/{talk.response}/input_items").json()["data"]
    assert inputs[0]["content"][0]["text"] == talk.question
    text = "".join(part["text"] for item in kept["output"] for part in item["content"])
    assert text.startswith(talk.got) or talk.got.startswith(text)
    assert len(text) >= talk.shown_before(killed - LATE), "more was streamed than is kept"
    if talk.is_over or talk.is_item_done:
        assert text == talk.got
    assert kept["status"] == "incomplete"  # those that came to their end had all their tokens
    reason = kept["incomplete_details"]["reason"]
    assert reason == "max_output_tokens" if talk.is_over else reason in REASONS
    assert all(item["status"] != "in_progress" for item in kept["output"])
    return reason


@pytest.mark.timeout(120 + 60 * KILLS)
def test_what_was_said_outlives_a_kill(tmp_path: Path, settings: dict[str, str]) -> None:
    chance, numbers = random.Random(7), itertools.count()
    talks: list[Talk] = []
    checked: list[tuple[Talk, float]] = []
    killed = 0.0
    client = httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None))
    ends: list[str] = []
    for life in range(KILLS + 1):
        with running(tmp_path, settings) as server:
            told = [talk for talk in talks if talk.response is not None]
            ends += [check(server, talk, killed) for talk in told]
            checked += [(talk, killed) for talk in told]
            if life == KILLS:
                # and nothing of it changes later
                for talk, moment in checked:
                    check(server, talk, moment)
                server.assert_no_alarm()
                break
            talks = [
                Talk(f"Say {next(numbers)} things.", int(4 * 1000 ** chance.random()))
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
    print(f"{KILLS} kills: {Counter(ends)}")
    assert set(ends) == REASONS
    assert ends.count("interrupted") >= 3 * KILLS, "too few were cut"
