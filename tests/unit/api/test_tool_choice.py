"""Which tools may be called, as clients of three servers say it."""

from typing import Any

import pytest

from app.api.openai.decode import Limits, decode_chat
from app.core.messages import ToolChoice
from app.core.requests import Caller, ChatPrompt
from tests.unit.api.served import CHAT, chat, serve
from tests.unit.services.scripted import ScriptedConstraints


def tool(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


TOOLS = [tool("f"), tool("g", parameters={"type": "object"}), tool("h")]
ALLOWED = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ToolChoice()),
        ({"tool_choice": "auto"}, ToolChoice()),
        ({"parallel_tool_calls": True}, ToolChoice()),
        ({"parallel_tool_calls": False}, ToolChoice(many=False)),
        ({"tool_choice": "required"}, ToolChoice(must=True)),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            ToolChoice(must=True, many=False),
        ),
        ({"tool_choice": tool("g")}, ToolChoice(frozenset("g"), must=True, many=False)),
        (
            {"tool_choice": {"type": "function", "name": "g"}},
            ToolChoice(frozenset("g"), must=True, many=False),
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": ALLOWED}},
            ToolChoice(frozenset("g"), must=True),
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": name} for name in "fg"],
                }
            },
            ToolChoice(frozenset("fg")),
        ),
    ],
)
def test_choices(fields: dict[str, Any], expected: ToolChoice) -> None:
    decoded = decode_chat(chat(tools=TOOLS, **fields), Caller("req_1"), Limits(8, 10))
    assert decoded.ignored == ()
    [prompt] = decoded.request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.tool_choice == expected
    assert [one.name for one in prompt.tools] == ["f", "g", "h"], "the prompt stays the same"


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"tool_choice": "any"}, "tool_choice", "'required'"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type", "allowed_tools"),
        ({"tool_choice": {"type": "function"}}, "tool_choice", "needs 'function'"),
        ({"tool_choice": tool("x")}, "tool_choice.function.name", "no function 'x'"),
        ({"tool_choice": "required", "tools": []}, "tool_choice", "no 'tools'"),
        ({"tool_choice": tool("f"), "tools": None}, "tool_choice", "no 'tools'"),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            "tool_choice.allowed_tools.tools",
            "at least 1",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "tool_choice.allowed_tools.tools",
            "required",
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [tool("x")]}},
            "tool_choice.allowed_tools.tools[0].function.name",
            "no function 'x'",
        ),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "boolean"),
    ],
)
async def test_what_is_refused(fields: dict[str, Any], param: str, word: str) -> None:
    response = await serve().post(CHAT, chat(tools=TOOLS) | fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param), error
    assert word in error["message"]


@pytest.mark.parametrize(
    ("choice", "names", "must"),
    [
        ("auto", ["f", "g", "h"], False),
        ("required", ["f", "g", "h"], True),
        (tool("g"), ["g"], True),
        ({"type": "allowed_tools", "allowed_tools": ALLOWED}, ["g"], True),
    ],
)
async def test_what_answers_are_held_to(choice: Any, names: list[str], must: bool) -> None:
    constraints = ScriptedConstraints()
    served = serve(constraints=constraints)
    await served.post(CHAT, chat(tools=TOOLS, tool_choice=choice))
    assert constraints.compiled == [None]
    (frame,) = constraints.frames
    assert frame is not None
    assert frame.calls is not None
    assert [one.name for one in frame.calls.tools] == names
    assert frame.calls.must == must


async def test_without_tools_nothing_is_held() -> None:
    constraints = ScriptedConstraints()
    served = serve(constraints=constraints)
    asked: list[dict[str, Any]] = [{}, {"tools": []}, {"tools": TOOLS, "tool_choice": "none"}]
    for fields in asked:
        await served.post(CHAT, chat(**fields))
    assert constraints.compiled == []
