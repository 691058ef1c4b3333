"""Streams of responses in the background that are followed again, later or from elsewhere."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import find_programs, run_postgres
from tests.support.server import MODEL, SCRIPTED, Server, serve, wait_until

TALK = """think I should look it up
say The weather in two towns, in many words: caffè, señor, \U0001f999.
call get_weather {"city": "Rome"}
call shout {"input": "Hey, you there"}"""
TOOLS = [
    {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    {"type": "custom", "name": "shout"},
]
Frame = dict[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    """Two that share a database."""
    folder = tmp_path_factory.mktemp("resume")
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/shared.db"
        if request.param == "postgresql":
            if find_programs() is None:
                pytest.skip("PostgreSQL is not installed")
            url = stack.enter_context(run_postgres()).url
        one, two = [
            stack.enter_context(serve(folder / name, SCRIPTED, LLM_DATABASE_URL=url))
            for name in ("one", "two")
        ]
        yield one, two
        for server in (one, two):
            server.assert_no_alarm()


def begin(server: Server, text: str, **fields: Any) -> str:
    body = {"model": MODEL, "input": text, "background": True, **fields}
    answer = server.client.post(f"{server.url}/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def follow(server: Server, identifier: str, after: int | None = None) -> list[Frame]:
    start = "" if after is None else f"&starting_after={after}"
    answer = server.get(f"/v1/responses/{identifier}?stream=true{start}")
    assert answer.status_code == 200, answer.text
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_the_same_stream_again(servers: tuple[Server, Server]) -> None:
    one, two = servers
    made = begin(one, TALK, tools=TOOLS)
    told = follow(one, made)  # from the log
    assert [frame["sequence_number"] for frame in told] == list(range(len(told)))
    kinds = [frame["item"]["type"] for frame in told if frame["type"].endswith("item.added")]
    assert kinds == ["reasoning", "message", "function_call", "custom_tool_call"]
    assert sum(frame["type"] == "response.output_text.delta" for frame in told) > 5
    again = follow(two, made)  # from the store
    assert again == told
    for after in (0, 3, 7, len(told) // 2, len(told) - 2):
        rest = follow(two, made, after)
        assert [frame["type"] for frame in rest] == [frame["type"] for frame in told[after + 1 :]]
        assert rest == told[after + 1 :]
    # whoever has heard everything already, or claims to have heard more, hears the end again
    (end,) = follow(two, made, len(told) + 5)
    assert end["type"] == "response.completed"


def test_another_server_tells_what_is_written_now(servers: tuple[Server, Server]) -> None:
    one, two = servers
    words = " ".join(f"w{n}" for n in range(300))
    made = begin(one, f"say {words}")
    followed = follow(two, made)
    told = follow(one, made)
    assert [frame["sequence_number"] for frame in followed] == list(range(len(told)))
    assert followed[3:] == told[3:]
    text = "".join(frame.get("delta", "") for frame in followed)
    assert text == words


def test_one_that_was_cancelled(servers: tuple[Server, Server]) -> None:
    one, two = servers
    made = begin(one, f"say {'many words ' * 4000}")
    wait_until(lambda: bool(two.get(f"/v1/responses/{made}").json()["output"]), "a first piece")
    one.client.post(f"{one.url}/v1/responses/{made}/cancel")
    told = follow(one, made)
    assert told[-1]["type"] == "response.cancelled"
    assert follow(two, made) == told
    assert follow(two, made, 10) == told[11:]


def test_one_that_did_not_run_in_the_background(servers: tuple[Server, Server]) -> None:
    """Nobody can have been cut off from it and go on."""
    one, two = servers
    made = begin(one, TALK, tools=TOOLS, background=False)
    numbers = [frame["sequence_number"] for frame in follow(two, made)]
    assert numbers == sorted(set(numbers))
    (end,) = follow(two, made, 4)
    assert end["type"] == "response.completed"
    assert end["sequence_number"] > 4


def test_what_a_dead_server_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    with (
        serve(tmp_path / "one", SCRIPTED, LLM_DATABASE_URL=url) as one,
        serve(tmp_path / "two", SCRIPTED, LLM_DATABASE_URL=url) as two,
    ):
        made = begin(one, f"say {'many words ' * 4000}")
        wait_until(lambda: bool(two.get(f"/v1/responses/{made}").json()["output"]), "a piece")
        one.process.kill()
        one.process.wait()
        told = follow(two, made)
        assert told[-1]["type"] == "response.incomplete"
        kept = told[-1]["response"]["output"][0]["content"][0]["text"]
        assert "".join(frame.get("delta", "") for frame in told) == kept
        assert [frame["sequence_number"] for frame in told] == list(range(len(told)))
        assert follow(two, made, 4) == told[5:]
        two.assert_no_alarm()
