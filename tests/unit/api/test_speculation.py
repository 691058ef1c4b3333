"""Guessing ahead: the method that a request chooses, and the text that it expects."""

from typing import Any

import pytest
import structlog.testing

from app.engine.messages import SequenceSpec
from tests.unit.api.served import CHAT, COMPLETIONS, MODEL, Served, chat, serve
from tests.unit.services.scripted import Script


def expect(content: Any) -> dict[str, Any]:
    return {"prediction": {"type": "content", "content": content}}


async def spec_of(served: Served, **fields: Any) -> SequenceSpec:
    response = await served.post(CHAT, chat(**fields))
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers
    return served.engine.specs[-1]


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("abc", b"abc"),
        ([{"type": "text", "text": "ab"}, {"type": "text", "text": "c"}], b"abc"),
        ("<|im_end|>", b"<|im_end|>"),
        ("", b""),
        ([], b""),
        ([{"type": "text", "text": ""}], b""),
    ],
)
async def test_a_prediction_becomes_tokens(content: Any, tokens: bytes) -> None:
    """Without BOS, and what looks like a control token is only text."""
    spec = await spec_of(serve(), **expect(content))
    assert bytes(spec.prediction) == tokens
    assert spec.speculation == ("ngram" if tokens else None)


async def test_every_answer_gets_the_prediction() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    served = serve()
    await spec_of(served, n=3, logprobs=True, tools=[tool], **expect("abc"))
    assert [bytes(spec.prediction) for spec in served.engine.specs] == [b"abc"] * 3


async def test_a_prediction_is_no_longer_than_an_answer_can_be() -> None:
    served = serve(max_body_bytes=4_000_000)
    spec = await spec_of(served, **expect("x" * 1_000_000))
    assert len(spec.prediction) == 2048


@pytest.mark.parametrize("method", ["off", "ngram"])
async def test_a_method_reaches_the_engine(method: str) -> None:
    assert (await spec_of(serve(), speculation=method)).speculation == method
    assert (await spec_of(serve(), speculation=method, **expect("abc"))).speculation == method
    served = serve()
    body = {"model": MODEL, "prompt": "abc", "speculation": method}
    assert (await served.post(COMPLETIONS, body)).status_code == 200
    assert served.engine.specs[-1].speculation == method


async def test_a_method_that_the_model_does_not_have_is_named() -> None:
    response = await serve().post(CHAT, chat(speculation="mtp"))
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": f"The model '{MODEL}' has no speculation 'mtp'. It has 'ngram', 'off'.",
        "type": "invalid_request_error",
        "param": "speculation",
        "code": "unsupported_operation",
    }
    able = serve(speculation=frozenset({"off", "ngram", "mtp"}))
    assert (await spec_of(able, speculation="mtp")).speculation == "mtp"


async def test_nothing_is_chosen_for_who_does_not_ask() -> None:
    spec = await spec_of(serve())
    assert (spec.speculation, spec.prediction) == (None, ())


async def test_the_log_tells_of_guesses_and_priorities() -> None:
    served = serve(Script(("a", "b"), accepted_tokens=1, rejected_tokens=4), Script(("a",)))
    with structlog.testing.capture_logs() as logs:
        await served.post(CHAT, chat(priority="batch"))
        await served.post(CHAT, chat())
    first, second = [entry for entry in logs if entry["event"] == "request"]
    assert (first["priority"], first["accepted_tokens"], first["rejected_tokens"]) == (100, 1, 4)
    assert not {"priority", "accepted_tokens", "rejected_tokens"} & set(second)
