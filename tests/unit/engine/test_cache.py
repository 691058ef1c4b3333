"""Which requests share a grammar, and how much is kept."""

from dataclasses import replace
from typing import Any

import pytest

from app.chat.formats.json_objects import HERMES
from app.chat.parsers.answer import Reply, WritesCalls
from app.core.messages import Tool
from app.core.requests import Choice, Constraint, JsonObject, JsonSchema, Regex
from app.engine.constraint import Calls, Frame
from app.engine.constraint.cache import Compiled, GrammarCache, key_of

TOOL = Tool("f", "Says f", {"type": "object", "properties": {"a": {"type": "integer"}}})


def calls(*tools: Tool, **others: Any) -> Calls:
    assert isinstance(HERMES.calls, WritesCalls)
    return Calls(HERMES.calls.write, HERMES.calls.openers.texts, tools or (TOOL,), **others)


FRAME = Frame("optional", "<think>", "</think>", calls())


@pytest.mark.parametrize(
    "frame",
    [
        replace(FRAME, calls=calls(replace(TOOL, description="Says more", source="tools[3]"))),
        replace(FRAME, calls=calls(prompt_end="<|im_start|>assistant\n")),
        replace(FRAME, calls=calls(open_call='<tool_call>{"name": "f", ')),
    ],
)
def test_what_changes_no_grammar_changes_no_key(frame: Frame) -> None:
    assert key_of(None, frame) == key_of(None, FRAME)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(),
        replace(FRAME, thought="open"),
        replace(FRAME, calls=None),
        replace(FRAME, reply=Reply("<answer>", "</answer>")),
        replace(FRAME, calls=calls(must=True)),
        replace(FRAME, calls=calls(many=False)),
        replace(FRAME, calls=calls(prompt_end="<tool_")),
        replace(FRAME, calls=calls(TOOL, replace(TOOL, name="g"))),
        replace(FRAME, calls=calls(replace(TOOL, name="g"))),
        replace(FRAME, calls=calls(replace(TOOL, strict=True))),
        replace(FRAME, calls=calls(replace(TOOL, parameters={"type": "object"}))),
        replace(FRAME, calls=calls(replace(TOOL, parameters=None))),
    ],
)
def test_what_changes_the_grammar_changes_the_key(frame: Frame) -> None:
    assert key_of(None, frame) != key_of(None, FRAME)


def test_properties_count_in_their_order() -> None:
    one: dict[str, Any] = {"type": "object", "properties": {"a": {}, "b": {}}}
    other: dict[str, Any] = {"type": "object", "properties": {"b": {}, "a": {}}}
    assert key_of(JsonSchema(one, "s"), Frame()) != key_of(JsonSchema(other, "s"), Frame())


@pytest.mark.parametrize(
    "constraint",
    [
        JsonObject("a"),
        JsonSchema({"type": "object"}, "a"),
        JsonSchema({"type": "object"}, "a", strict=True),
        Regex("x", "a"),
        Choice(("x",), "a"),
        Choice(("x", "y"), "a"),
    ],
)
def test_a_format_is_the_same_in_every_field(constraint: Constraint) -> None:
    key = key_of(constraint, Frame())
    assert key == key_of(replace(constraint, source="b"), Frame())
    assert key != key_of(None, Frame())
    assert key != key_of(Regex("y", "a"), Frame())


def test_what_cannot_be_spelled_has_no_key() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"properties": {"a": deep}}
    assert key_of(JsonSchema(deep, "s"), Frame()) is None
    assert key_of(Regex("\ud800", "s"), Frame()) is None
    cache = GrammarCache()
    cache.keep(None, Compiled(None, 1, 0.0))
    assert cache.get(None) is None


def test_the_cache_is_bounded_in_bytes_and_number() -> None:
    small, large = Compiled("small", 1000, 0.0), Compiled("large", 1000, 10.0)
    assert small.bytes < 100_000 < large.bytes
    cache = GrammarCache(max_bytes=3 * small.bytes, max_grammars=2)
    for key in ("a", "b", "c"):
        cache.keep(key, small)
    assert [cache.get(key) is small for key in ("a", "b", "c")] == [False, True, True]
    cache.get("b")
    cache.keep("d", small)  # the one used longest ago leaves
    assert [cache.get(key) is small for key in ("b", "c", "d")] == [True, False, True]
    cache.keep("e", large)
    assert [cache.get(key) is small for key in ("b", "d", "e")] == [True, True, False]
