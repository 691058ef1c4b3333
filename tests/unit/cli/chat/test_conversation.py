"""Conversations: what is asked, what is kept, what is saved."""

import stat
from pathlib import Path

import pytest

from app.cli.chat.conversation import Conversation
from app.cli.chat.state import State
from app.cli.chat.stats import encode_turn, write_session, write_turn
from app.cli.chat.turn import Counts, Piece, Turn
from app.cli.refusal import Refusal


def test_a_request_holds_all_that_was_said() -> None:
    talk = Conversation("m", system="Be brief.", parameters={"temperature": 0.2}, think=False)
    talk.keep("one", "two")
    assert talk.body("three") == {
        "model": "m",
        "temperature": 0.2,
        "enable_thinking": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
    }
    talk.think, talk.system, talk.format = "high", None, {"type": "json_object"}
    body = talk.body("x")
    assert body["reasoning_effort"] == "high"
    assert "enable_thinking" not in body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "user"
    assert len(talk.messages) == 2, "asking keeps nothing"


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = State(tmp_path / "state" / "corral")
    talk = Conversation("m", "S", {"stop": ["x"]}, "low", {"type": "json_object"})
    talk.keep("ä\u2028", "ö")
    path = state.save("Mine_1", talk)
    assert state.load("Mine_1") == talk
    assert state.names() == ["Mine_1"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in list(path.parents)[:2]} == {0o700}
    assert stat.S_IMODE(state.history().stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "a b", "x" * 200, "é"])
def test_names_stay_in_their_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be the name"):
        State(tmp_path).save(name, Conversation("m"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "model": "m"}', "\xff"]
)
def test_a_damaged_file_is_told(text: str, tmp_path: Path) -> None:
    state = State(tmp_path)
    state.save("x", Conversation("m"))
    (tmp_path / "sessions" / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=r"x\.json"):
        state.load("x")
    with pytest.raises(Refusal, match="cannot be read"):
        state.load("none")


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    state = State(tmp_path / "file" / "corral")
    assert state.names() == []
    with pytest.raises(Refusal, match="cannot be written"):
        state.save("x", Conversation("m"))


def test_what_a_turn_took() -> None:
    turn = Turn(model="m")
    turn.add(Piece(news="loading 3%"))
    assert turn.first is None
    turn.add(Piece(thought="hm"))
    turn.add(Piece("yes"))
    turn.end("stop", Counts(prompt=30, answer=11, cached=20, thought=4))
    turn.first, turn.total = 1.0, 3.0
    assert turn.speed == 5.0
    told = write_turn(turn, 100)
    assert told == (
        "prompt 30 tokens (20 cached) · answer 11 (4 of thought) · 5.0 tokens/s · "
        "first after 1.00 s · total 3.00 s · context 41 of 100 (41%)"
    )
    assert write_session([turn], 100) == f"last     {told}"
    assert "2 answers · prompts 60 tokens (40 cached) · answers 22" in write_session(
        [turn] * 2, 100
    )
    assert "nothing" in write_session([], 100)
    encoded = encode_turn(turn)
    assert encoded["content"] == "yes"
    assert encoded["thinking"] == "hm"
    assert encoded["usage"]["cached_tokens"] == 20


def test_a_turn_without_counts() -> None:
    turn = Turn()
    turn.end("interrupted")
    assert turn.speed is None
    assert write_turn(turn, None).startswith("total ")
    assert encode_turn(turn)["usage"] is None
