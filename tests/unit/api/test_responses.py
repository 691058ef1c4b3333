"""The body of a response: good values reach the services, bad ones are refused by name."""

import base64
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from app.api.openai.conversations.schemas import ChangeBody, ConversationBody, ItemsBody
from app.api.openai.parameters import (
    NO_EFFECT,
    NO_EFFECT_IN_RESPONSES,
    REFUSED_IN_RESPONSES,
)
from app.api.openai.responses.decode import decode_response
from app.api.openai.responses.schemas import FREE_TOOLS, ResponseBody, ResponseOnly
from app.api.openai.schemas.chat import ChatBody
from app.core.errors import BadRequest, UnsupportedParameter
from app.core.messages import Message, TextGrammar, Tool, ToolCall
from app.core.requests import (
    AdapterChoice,
    Caller,
    ChatPrompt,
    Choice,
    Grammar,
    JsonObject,
    JsonSchema,
    Regex,
)
from app.services.responses.ask import Ask
from app.services.responses.messages import cut_oldest, read_messages
from tests.unit.api.served import MODEL, serve
from tests.unit.storage.samples import answer, call, message, result, thought

CALLER = Caller("req_1")
DOCS = Path(__file__).parents[3] / "docs"
FUNCTION = {"type": "function", "name": "f"}
RESPONSES = "/v1/responses"
USER_ITEM = {"role": "user", "content": "Hi"}


def decode(**fields: Any) -> Ask:
    return decode_response({"model": MODEL, "input": "Hi", **fields}, CALLER).ask


def prompt_of(ask: Ask) -> ChatPrompt:
    (prompt,) = ask.request.prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt


def ignored(**fields: Any) -> tuple[str, ...]:
    return decode_response({"model": MODEL, "input": "Hi", **fields}, CALLER).ignored


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", 0.5, 0.5),
        ("top_k", 7, 7),
        ("min_p", 0.1, 0.1),
        ("seed", 5, 5),
        ("repeat_penalty", 1.1, 1.1),
    ],
)
def test_sampling(name: str, value: object, expected: object) -> None:
    assert decode(**{name: value}).request.sampling == {name: expected}


def test_limits_and_the_like() -> None:
    ask = decode(max_output_tokens=9, stop="x", top_logprobs=3, service_tier="flex", user="rosa")
    request = ask.request
    assert (request.max_tokens, request.stop, request.logprobs) == (9, ("x",), 3)
    assert request.priority == 100
    assert request.caller.end_user is not None
    assert ask.echo["service_tier"] == "flex"
    assert decode(thinking_budget=5).request.thought_tokens == 5
    assert prompt_of(decode(reasoning={"effort": "low"})).effort == "low"
    assert decode(reasoning={"exclude": True}).hides_thoughts
    assert decode(include=["message.output_text.logprobs"]).request.logprobs == 0


def test_formats() -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    wanted = decode(text={"format": form}).request.constraint
    assert wanted == JsonSchema(schema, "text.format.schema", strict=True)
    assert decode(text={"format": {"type": "json_object"}}).request.constraint == JsonObject(
        "text.format"
    )
    assert decode(text={"format": {"type": "text"}}).request.constraint is None


def test_tools() -> None:
    ask = decode(
        tools=[
            FUNCTION,
            {"type": "custom", "name": "shout"},
            {"type": "namespace", "name": "crew", "tools": [FUNCTION]},
            {"type": "web_search", "external_web_access": True},
        ]
    )
    assert [tool.name for tool in prompt_of(ask).tools] == ["f", "shout", "crew__f"]
    assert ask.names["crew__f"].namespace == "crew"
    assert ask.names["shout"].is_custom
    assert prompt_of(decode(tools=[FUNCTION], tool_choice="none")).tools == ()
    chosen = prompt_of(decode(tools=[FUNCTION], tool_choice=FUNCTION)).tool_choice
    assert (chosen.names, chosen.must, chosen.many) == (frozenset({"f"}), True, False)


def test_grammars_of_custom_tools() -> None:
    def decode_one(**form: Any) -> Tool:
        tools = [FUNCTION, {"type": "custom", "name": "x", "description": "Do.", "format": form}]
        return prompt_of(decode(tools=tools)).tools[1]

    assert decode_one(type="text").grammar is None
    held = decode_one(type="grammar", syntax="regex", definition="a|b")
    assert held.grammar == TextGrammar("a|b", "regex")
    assert held.source == "tools[1].format.definition"
    assert held.parameters is not None
    assert "a|b" in held.parameters["properties"]["input"]["description"]


@pytest.mark.parametrize("kind", sorted(FREE_TOOLS))
def test_tools_that_are_left_out_are_named(kind: str) -> None:
    assert ignored(tools=[{"type": kind}]) == (f"tools.{kind}",)
    assert f"`{kind.partition('_preview')[0].removesuffix('_2025_08_26')}`" in (
        DOCS / "compatibility.md"
    ).read_text(encoding="utf-8")


def test_unknown_fields_are_named() -> None:
    item = {"role": "user", "content": [{"type": "input_text", "text": "x", "weight": 1}]}
    assert ignored(input=[item], zebra=1) == ("input.content.weight", "zebra")


def test_places() -> None:
    assert decode().place is None
    for given, after, is_first in (
        ("conv_1", None, False),
        ({"id": "conv_1"}, None, False),
        ({"id": "conv_1", "after": "msg_1"}, "msg_1", False),
        ({"id": "conv_1", "after": None}, None, True),
    ):
        place = decode(conversation=given).place
        assert place is not None
        assert (place.conversation, place.after, place.is_first) == ("conv_1", after, is_first)


BAD: list[tuple[str, Any]] = [
    ("input", [5]),
    ("input", [{}]),
    ("input", 5),
    ("input", [{"role": "robot", "content": "x"}]),
    ("input", [{"role": "user", "content": 5}]),
    ("input", [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]),
    ("input", [{"type": "function_call", "name": "f", "arguments": "{}"}]),
    ("input", [{"type": "computer_call"}]),
    ("input", [{"type": 5, "role": "user"}]),
    ("conversation", 5),
    ("conversation", {}),
    ("conversation", ""),
    ("store", "yes"),
    ("background", 1),
    ("stream", "true"),
    ("tools", {}),
    ("tools", [{}]),
    ("tools", [{"type": "function"}]),
    ("tools", [{"type": "code_interpreter"}]),
    ("tools", [{"type": "namespace", "name": "x"}]),
    ("tools", [{"type": "custom", "name": "x", "format": {"type": "grammar"}}]),
    ("tools", [{"type": "custom", "name": "x", "format": {"type": "grammar", "syntax": "gbnf"}}]),
    ("tool_choice", "any"),
    ("tool_choice", {"type": "file_search"}),
    ("tool_choice", FUNCTION),
    ("text", {"format": {"type": "xml"}}),
    ("text", {"format": {"type": "json_schema", "name": "x"}}),
    ("reasoning", {"effort": "huge"}),
    ("reasoning", {"summary": "long"}),
    ("max_output_tokens", 0),
    ("max_output_tokens", "5"),
    ("truncation", "middle"),
    ("metadata", {"a": 5}),
    ("metadata", {"a" * 65: "b"}),
    ("include", ["everything"]),
    ("top_logprobs", 21),
    ("temperature", 9),
    ("stop", [""]),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=repr)
def test_bad_values(name: str, value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(**{name: value})
    assert (caught.value.param or "").partition("[")[0].partition(".")[0] == name
    assert name in caught.value.message


@pytest.mark.parametrize("name", REFUSED_IN_RESPONSES)
def test_refused_parameters(name: str) -> None:
    with pytest.raises(UnsupportedParameter, match=re.escape(REFUSED_IN_RESPONSES[name])):
        decode(**{name: {"id": "x"}})


def test_what_cannot_go_together() -> None:
    for fields in (
        {"conversation": "c", "previous_response_id": "r"},
        {"conversation": "c", "store": False},
        {"background": True, "store": False},
    ):
        with pytest.raises(BadRequest) as caught:
            decode(**fields)
        assert caught.value.param in fields


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("ignore_eos", True, "ignore_eos", True),
        ("min_tokens", 3, "min_tokens", 3),
        ("stop_token_ids", [5], "stop_token_ids", (5,)),
        ("lora", [{"id": "sql", "scale": 0.5}], "lora", (AdapterChoice("sql", 0.5),)),
        ("lora", [], "lora", ()),
        ("speculation", "ngram", "speculation", "ngram"),
        ("priority", "batch", "priority", 100),
        ("prediction", {"type": "content", "content": "Hello"}, "prediction", "Hello"),
        ("grammar", 'start: "a"', "constraint", Grammar('start: "a"', "lark", "grammar")),
        ("guided_regex", "[0-9]+", "constraint", Regex("[0-9]+", "guided_regex")),
        ("guided_choice", ["a"], "constraint", Choice(("a",), "guided_choice")),
        ("json_schema", {}, "constraint", JsonSchema({}, "json_schema")),
        (
            *("structured_outputs", {"choice": ["a"]}, "constraint"),
            Choice(("a",), "structured_outputs.choice"),
        ),
    ],
)
def test_what_chats_take_beyond_sampling(
    name: str, value: object, attribute: str, expected: object
) -> None:
    assert getattr(decode(**{name: value}).request, attribute) == expected
    assert ignored(**{name: value}) == ()


def test_no_parameter_of_chats_is_ignored() -> None:
    """What only has another name here is refused, and the name told."""
    chats = {*ChatBody.model_fields, *NO_EFFECT}
    unknown = chats - set(ResponseBody.model_fields) - set(REFUSED_IN_RESPONSES)
    assert unknown == {"modalities", "verbosity"}
    text = {"format": {"type": "json_object"}}
    with pytest.raises(BadRequest, match=re.escape("'text.format' and 'grammar' exclude")):
        decode(text=text, grammar='start: "a"')
    with pytest.raises(BadRequest, match="'n'"):
        decode(n=2)


async def test_null_is_absent(tmp_path: Path) -> None:
    served = serve()
    served.database = tmp_path / "store.db"
    served.__post_init__()
    nulls = dict.fromkeys([*ResponseBody.model_fields, *REFUSED_IN_RESPONSES], None)
    response = await served.post(RESPONSES, nulls | {"model": MODEL, "input": "Hi"})
    assert response.status_code == 200, response.text
    assert response.json()["output"][0]["content"][0]["text"] == "Hello"
    assert "x-corral-ignored" not in response.headers


async def test_required_fields() -> None:
    for body, param in (({"input": "x"}, "model"), ({"model": MODEL}, "input")):
        error = (await serve().post(RESPONSES, body)).json()["error"]
        assert error["param"] == param


def test_every_parameter_is_documented() -> None:
    page = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    fields = set[str]()
    for schema in (ResponseBody, ConversationBody, ChangeBody, ItemsBody):
        fields |= set(schema.model_fields)
    assert fields | set(REFUSED_IN_RESPONSES) <= named
    for name, reason in {**NO_EFFECT_IN_RESPONSES, **REFUSED_IN_RESPONSES}.items():
        assert f"| `{name}` | {reason} |" in page
    without = set(ResponseOnly.model_fields)
    assert set(NO_EFFECT_IN_RESPONSES) < without


def test_items_become_messages() -> None:
    called, other = call(), call("add", "{}")
    items = [
        message("S", "developer"),
        message("Q"),
        thought("hm"),
        answer("Let me see."),
        called,
        other,
        result(called, "sunny"),
        result(other, "3"),
        answer("A"),
    ]
    assert read_messages("Be kind.", items) == (
        Message("system", "Be kind."),
        Message("developer", "S"),
        Message("user", "Q"),
        Message(
            "assistant",
            "Let me see.",
            reasoning="hm",
            tool_calls=(
                ToolCall(called.call_id, "get_weather", called.arguments),
                ToolCall(other.call_id, "add", "{}"),
            ),
        ),
        Message("tool", "sunny", tool_call_id=called.call_id),
        Message("tool", "3", tool_call_id=other.call_id),
        Message("assistant", "A"),
    )


def test_the_oldest_turns_are_cut() -> None:
    system, turns = message("S", "system"), [message("q" * 10), answer("a" * 10)] * 4
    items = [system, *turns]
    assert cut_oldest(items, 0.2) == [system, *turns[2:]]
    assert cut_oldest(items, 0.6) == [system, *turns[6:]]
    assert cut_oldest(items, 1.0) == [system, *turns[6:]]
    assert cut_oldest([system, *turns[6:]], 0.5) is None


def test_sealed_thoughts_are_no_bomb() -> None:
    """Together, too: each of these is within the bound."""
    packed = base64.b64encode(zlib.compress(b"x" * 6 * 1024**2)).decode()
    sealed: dict[str, Any] = {"type": "reasoning", "summary": []}
    sealed |= {"encrypted_content": f"corral-1:{packed}"}
    assert len(decode(input=[sealed, sealed, USER_ITEM]).items) == 3
    with pytest.raises(BadRequest) as caught:
        decode(input=[sealed, sealed, sealed, USER_ITEM])
    assert caught.value.param == "input[2].encrypted_content"
