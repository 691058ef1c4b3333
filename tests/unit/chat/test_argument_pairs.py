"""Calls that are a name with pairs of keys and values."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.argument_pairs import GLM, HUNYUAN_3
from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

PROPERTIES = {"s": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"}}
TOOLS = (Tool("f", parameters={"type": "object", "properties": PROPERTIES}),)


def make(form: ChatFormat, prompt_end: str = "") -> StreamParser:
    return form.make_parser(TOOLS, thinks=True, prompt_end=prompt_end)


glm = partial(make, GLM)


def call(*pairs: tuple[str, str], name: str = "f", gap: str = "") -> str:
    written = "".join(
        f"<arg_key>{key}</arg_key>{gap}<arg_value>{value}</arg_value>{gap}" for key, value in pairs
    )
    return f"<tool_call>{name}{gap}{written}</tool_call>"


def arguments(result: Read) -> list[Any]:
    assert all(result.ended)
    assert not result.malformed
    return [json.loads(call[1]) for call in result.calls]


@pytest.mark.parametrize("gap", ["", "\n", "\n    "])
def test_calls_however_the_model_spaces_them(gap: str) -> None:
    one = call(("s", "1"), ("n", "1"), ("o", '{"k": [1]}'), ("free", "true"), gap=gap)
    result = read_every_way(glm, f"<think>hm</think>\nLook.\n{one}\n{call(gap=gap)}\n")
    assert result == Read(
        "Look.",
        "hm",
        calls=[["f", '{"s":"1","n":1,"o":{"k": [1]},"free":true}'], ["f", "{}"]],
        ended=[True, True],
    )


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "  both sides \n", "a\nb", 'q " \\ \t', "日本 😀 é"),
        *("a < b", "</arg_valu", "x</arg_value> y", "<arg_key>", "</think> and <tool_call>"),
    ],
)
def test_a_string_is_kept_to_the_letter(value: str) -> None:
    text = call(("s", value), ("n", "1"), gap="\n")
    assert arguments(read_every_way(glm, text)) == [{"s": value, "n": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call>s are what I write.",
        "<tool_call>not json</tool_call>",
        '<tool_call>{"name": "f"}</tool_call>',
        "<tool_call></tool_call>",
        "<arg_key>a</arg_key><arg_value>1</arg_value>",
        "a <tool_c",
    ],
)
def test_what_is_not_a_call_stays_text(text: str) -> None:
    result = read_every_way(glm, text)
    assert (result.content, result.calls) == (text, [])


def test_a_call_that_breaks_keeps_what_was_told() -> None:
    text = "<tool_call>f<arg_key>s</arg_key><arg_value>a</arg_value><arg_key>n<arg_value>"
    result = read_every_way(glm, text)
    assert result == Read("<arg_value>", calls=[["f", '{"s":"a"']], ended=[False], malformed=1)


def test_a_key_without_a_value_is_left_out() -> None:
    text = (
        "<tool_call>f<arg_key>s</arg_key><arg_key>n</arg_key><arg_value>1</arg_value></tool_call>"
    )
    assert arguments(read_every_way(glm, text)) == [{"n": 1}]
    text = "<tool_call>f<arg_key>s</arg_key></tool_call>"
    assert arguments(read_every_way(glm, text)) == [{}]


@pytest.mark.parametrize("left", ["</tool_call>", "</tool", "<"])
def test_a_whole_call_needs_no_closing_tag_at_the_end(left: str) -> None:
    text = call(("s", "a")).removesuffix("</tool_call>") + left
    assert arguments(read_every_way(glm, text)) == [{"s": "a"}]


def test_a_call_is_told_as_it_comes() -> None:
    parser = make(GLM, "<think></think>")
    assert parser.feed("<tool_call>f\n") == []
    assert parser.feed("<arg_key>") == [CallStart("f")]
    assert parser.feed("s</arg_key>\n<arg_value>ab") == [CallArguments('{"s":"ab')]
    assert parser.feed("\nc</arg") == [CallArguments("\\nc")]
    assert parser.feed("_value></tool_call>") == [CallArguments('"}'), CallEnd()]


@pytest.mark.parametrize("mark", [":opensource", ""])
def test_hunyuan(mark: str) -> None:
    text = "<tool_calls>\n<tool_call>f<tool_sep>\n<arg_key>s</arg_key>\n<arg_value>a</arg_value>\n"
    text = f"{text}</tool_call>\n<tool_call>f<tool_sep></tool_call>\n</tool_calls>"
    text = text.replace(">", f"{mark}>")
    hunyuan = partial(make, HUNYUAN_3, "<think:opensource></think:opensource>")
    result = read_every_way(hunyuan, f"Look. {text}")
    assert result == Read("Look.", calls=[["f", '{"s":"a"}'], ["f", "{}"]], ended=[True, True])
    read_cut_off(hunyuan, text)
    assert {tag for tag in HUNYUAN_3.calls.markers if f"{mark}>" in tag} >= {
        f"<tool_calls{mark}>",
        f"</arg_value{mark}>",
        f"<tool_sep{mark}>",
    }


def test_cut_off_anywhere() -> None:
    read_cut_off(glm, f"<think>a</think>b {call(('s', 'é</a>'), ('o', '{}'), gap=' ')}\n{call()}")


_PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
        *("f", "s", "n", "1", "\n", " ", "<", '"', "é", "<think>", "</think>"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(glm, *pieces) == read(glm, text) == read(glm, *text)
