"""Thoughts: how long they may be and where they go, in the words of several servers."""

from typing import Any

import pytest

from app.api.openai.decode import Decoded, Limits, decode_chat
from app.core.requests import Caller, ChatPrompt
from tests.unit.api.served import CHAT, chat, frames, refuse, serve
from tests.unit.services.scripted import Script

THINKING = (
    "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n{% if 0 %}</think>{% endif %}"
)
THOUGHT = Script(("hm", "</think>", "Hello"))


def decode(**fields: Any) -> Decoded:
    decoded = decode_chat(chat(**fields), Caller("req_1"), Limits(8, 10))
    assert decoded.ignored == ()
    return decoded


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking_budget": 5},
        {"thinking_budget_tokens": 5},
        {"reasoning_budget_tokens": 5},
        {"thinking_token_budget": 5},
        {"thinking": {"type": "enabled", "budget_tokens": 5}},
        {"reasoning": {"max_tokens": 5}},
        {"thinking_budget": 5, "reasoning": {"max_tokens": 5}},
    ],
)
def test_budgets(fields: dict[str, Any]) -> None:
    assert decode(**fields).request.thought_tokens == 5


@pytest.mark.parametrize("fields", [{}, {"thinking_budget": -1}, {"thinking": {"type": "enabled"}}])
def test_no_budget(fields: dict[str, Any]) -> None:
    assert decode(**fields).request.thought_tokens is None


def test_none_at_all() -> None:
    assert decode(thinking_budget=0).request.thought_tokens == 0


@pytest.mark.parametrize(
    ("fields", "thinking", "effort"),
    [
        ({"thinking": {"type": "disabled"}}, False, None),
        ({"thinking": {"type": "enabled"}}, True, None),
        ({"reasoning": {"enabled": True}}, True, None),
        ({"reasoning": {"effort": "low"}}, None, "low"),
        ({"enable_thinking": False, "reasoning_effort": "high"}, False, "high"),
    ],
)
def test_switches(fields: dict[str, Any], thinking: bool | None, effort: str | None) -> None:
    [prompt] = decode(**fields).request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert (prompt.thinking, prompt.effort) == (thinking, effort)


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"thinking_budget": -2}, "thinking_budget", "-1"),
        ({"thinking_budget": "5"}, "thinking_budget", "integer"),
        ({"thinking": True}, "thinking", "dictionary"),
        ({"thinking": {"type": "adaptive"}}, "thinking.type", "enabled"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "low"),
        (
            {"thinking_budget": 5, "reasoning": {"max_tokens": 6}},
            "reasoning.max_tokens",
            "do not agree",
        ),
        (
            {"enable_thinking": True, "thinking": {"type": "disabled"}},
            "thinking",
            "do not agree",
        ),
    ],
)
async def test_what_is_refused(fields: dict[str, Any], param: str, word: str) -> None:
    error = await refuse(CHAT, chat(**fields))
    assert error["param"] == param
    assert word in error["message"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "reasoning_content"),
        ({"include_reasoning": True}, "reasoning"),
        ({"reasoning": {}}, "reasoning"),
        ({"include_reasoning": False}, None),
        ({"reasoning": {"exclude": True}}, None),
    ],
)
async def test_where_thoughts_go(fields: dict[str, Any], name: str | None) -> None:
    whole = await serve(THOUGHT, template=THINKING).post(CHAT, chat(**fields))
    message = whole.json()["choices"][0]["message"]
    stream = await serve(THOUGHT, template=THINKING).post(CHAT, chat(stream=True, **fields))
    deltas = [c["choices"][0]["delta"] for c in frames(stream)]
    names = {"reasoning_content", "reasoning"}
    assert names & message.keys() == names & {key for d in deltas for key in d} == ({name} - {None})
    assert message["content"] == "Hello"
    if name is not None:
        assert message[name] == "".join(d.get(name, "") for d in deltas) == "hm"
    usage = whole.json()["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 2
