"""Calls whose arguments are nested elements."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.nested_xml import MINIMAX_M3
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

MARK = "]<]minimax[>["
POINT = {"type": "object", "properties": {"x": {"type": "number"}, "name": {"type": "string"}}}
PROPERTIES = {
    "s": {"type": "string"},
    "n": {"type": "integer"},
    "b": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "point": {"$ref": "#/$defs/point"},
    "path": {"type": "array", "items": {"$ref": "#/$defs/point"}},
    "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
TOOLS = (
    Tool("f", parameters={"properties": PROPERTIES, "$defs": {"point": POINT}}),
    Tool("g"),
)


def minimax(prompt_end: str = "") -> StreamParser:
    return MINIMAX_M3.make_parser(TOOLS, thinks=True, prompt_end=prompt_end)


def element(name: str, *inside: str) -> str:
    return f"{MARK}<{name}>{''.join(inside)}{MARK}</{name}>"


def call(*inside: str, name: str = "f") -> str:
    return f'{MARK}<invoke name="{name}">{"".join(inside)}{MARK}</invoke>\n'


def block(*calls: str) -> str:
    return f"{MARK}<tool_call>\n{''.join(calls)}{MARK}</tool_call>"


def arguments(result: Read) -> list[Any]:
    assert all(result.ended)
    assert not result.malformed
    return [json.loads(call[1]) for call in result.calls]


def test_values_of_all_types() -> None:
    point = element("point", element("x", "1.5"), element("name", "1"))
    inside = (
        element("s", "42"),
        element("n", "42"),
        element("b", "true"),
        element("tags", element("item", "1"), element("item", "b")),
        point,
        element("path", element("item", element("x", "-2")), element("item")),
    )
    result = read_every_way(minimax, f"<mm:think>hm</mm:think>Look.{block(call(*inside))}")
    assert (result.content, result.reasoning) == ("Look.", "hm")
    assert arguments(result) == [
        {
            "s": "42",
            "n": 42,
            "b": True,
            "tags": ["1", "b"],
            "point": {"x": 1.5, "name": "1"},
            "path": [{"x": -2}, {}],
        }
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (element("free", "7"), {"free": 7}),
        (element("free", "text"), {"free": "text"}),
        (element("free", element("item", "a"), element("item", "1")), {"free": ["a", 1]}),
        (element("free", element("k", "a")), {"free": {"k": "a"}}),
        (element("either", "a"), {"either": "a"}),
        (element("either", element("item", "a")), {"either": ["a"]}),
        (element("s", element("k", "a")), {"s": element("k", "a")}),
        (element("s"), {"s": ""}),
        (element("tags"), {"tags": []}),
        (element("point"), {"point": {}}),
        (element("tags", '["a", "b"]'), {"tags": ["a", "b"]}),
        (element("tags", "\n", element("item", " a "), "\n"), {"tags": [" a "]}),
        (element("s", '  <b> ] " \\ \n</s> é😀'), {"s": '  <b> ] " \\ \n</s> é😀'}),
    ],
)
def test_what_an_element_is(written: str, value: dict[str, Any]) -> None:
    assert arguments(read_every_way(minimax, block(call(written)))) == [value]


def test_parallel_calls_without_arguments() -> None:
    result = read_every_way(minimax, f"</mm:think>{block(call(), call(name='g'))}\nDone.")
    assert result == Read("Done.", calls=[["f", "{}"], ["g", "{}"]], ended=[True, True])


@pytest.mark.parametrize("text", [f"{MARK}<tool_call>no", "<tool_call>", MARK, f"{MARK}<tool"])
def test_what_is_not_a_call_stays_text(text: str) -> None:
    assert read_every_way(minimax, text).content == text


def test_a_call_that_breaks_keeps_what_was_told() -> None:
    text = block(call(element("s", "a"), f"{MARK}<n>1", "oops"))
    result = read_every_way(minimax, text)
    assert (result.ended, result.malformed) == ([False], 1)
    assert result.calls == [["f", '{"s":"a","n":']]


def test_deep_nesting_is_refused() -> None:
    result = read(minimax, block(call(f"{MARK}<a>" * 1000)))
    assert result.ended == [False]
    assert result.malformed


def test_a_call_is_told_as_it_comes() -> None:
    parser = minimax("<mm:think></mm:think>")
    assert parser.feed(f'{MARK}<tool_call>\n{MARK}<invoke name="f">') == [CallStart("f")]
    assert parser.feed(f"{MARK}<s>ab") == [CallArguments('{"s":"ab')]
    assert parser.feed(f"c{MARK}</s>{MARK}<path>{MARK}<item>{MARK}<x>1") == [
        CallArguments('c","path":[{"x":')
    ]
    assert parser.feed(f"{MARK}</x>{MARK}</item>") == [CallArguments("1}")]
    assert parser.feed(f"{MARK}</path>{MARK}</invoke>") == [CallArguments("]}"), CallEnd()]


def test_cut_off_anywhere() -> None:
    inside = (element("s", "é"), element("path", element("item", element("x", "1"))))
    read_cut_off(minimax, f"<mm:think>a</mm:think>b{block(call(*inside), call())}")


_PIECES = st.sampled_from(
    [
        *(f"{MARK}<tool_call>", f"{MARK}</tool_call>", f'{MARK}<invoke name="f">'),
        *(f"{MARK}</invoke>", f"{MARK}<s>", f"{MARK}</s>", f"{MARK}<tags>", f"{MARK}</tags>"),
        *(f"{MARK}<item>", f"{MARK}</item>", f"{MARK}<q>", f"{MARK}</q>", MARK, "1", "\n", '"'),
        *("<mm:think>", "</mm:think>", "a"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(minimax, *pieces) == read(minimax, text) == read(minimax, *text)
