"""Reading Gemma 4's calls and thoughts."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.gemma import GEMMA_4
from app.chat.parsers.base import CallArguments, CallEnd, CallStart
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

gemma = partial(GEMMA_4.make_parser, (Tool("f"),), thinks=True)


def call(arguments: str) -> str:
    return f"<|tool_call>call:f{{{arguments}}}<tool_call|>"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "{}"),
        ('city:<|"|>San Francisco<|"|>', '{"city": "San Francisco"}'),
        ("a:42,b:-7,c:3.14,d:1.5e10", '{"a": 42, "b": -7, "c": 3.14, "d": 1.5e10}'),
        ("a:true,b:false,c:null,d:None", '{"a": true, "b": false, "c": null, "d": null}'),
        ('l:[<|"|>a<|"|>,1,[],{}]', '{"l": ["a", 1, [], {}]}'),
        (
            'o:{k:<|"|>v<|"|>,<|"|>q k<|"|>:{n:[1,2]}},p:1',
            '{"o": {"k": "v", "q k": {"n": [1, 2]}}, "p": 1}',
        ),
        ('s:<|"|>{"x": [1],\n\\}<|"|>', '{"s": "{\\"x\\": [1],\\n\\\\}"}'),
        ('s:<|"|>é 😀 <|"<tool_call|><|"|>', '{"s": "é 😀 <|\\"<tool_call|>"}'),
        (" a : 1 , b : [ 1 , 2 ] ,", '{"a": 1, "b": [1, 2]}'),
        ("a:bare word,b:007,c:NaN", '{"a": "bare word", "b": "007", "c": "NaN"}'),
        ('"a":1', '{"a": 1}'),
    ],
)
def test_arguments_become_json(arguments: str, told: str) -> None:
    assert read_every_way(gemma, call(arguments)) == Read(calls=[["f", told]], ended=[True])


def test_parallel_calls_after_thought_and_text() -> None:
    text = f"<|channel>thought\nhm<channel|>I look.\n{call('a:1')}{call('')}<|tool_response>"
    assert read_every_way(gemma, text) == Read(
        content="I look.", reasoning="hm", calls=[["f", '{"a": 1}'], ["f", "{}"]], ended=[True] * 2
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<|channel>thought\nso\n<channel|>Hi", Read("Hi", "so")),
        ("<|channel>thought<channel|>Hi", Read("Hi")),
        ("<|channel>thought\n<channel|>Hi", Read("Hi")),
        ("<|channel>thousand<channel|>Hi", Read("Hi", "thousand")),
        ("<|channel><|channel>thought\n<channel|>Hi", Read("Hi")),
        ("Hi<|channel>thought\n<channel|><channel|>", Read("Hi")),
        ("<|channel>thought\nnever closed", Read(reasoning="never closed")),
        ("<channel|>Hi", Read("Hi")),
        ("One. <|channel>thought\nhm<channel|>\nTwo.", Read("One. \nTwo.", "hm")),
    ],
)
def test_thoughts(text: str, expected: Read) -> None:
    assert read_every_way(gemma, text) == expected


def test_a_thought_that_the_prompt_opened_or_closed() -> None:
    opened = partial(gemma, prompt_end="<|turn>model\n<|channel>thought\n")
    assert read_every_way(opened, "hm<channel|>Hi") == Read("Hi", "hm")
    closed = partial(gemma, prompt_end="<|turn>model\n<|channel>thought\n<channel|>")
    assert read_every_way(closed, "Hi") == Read("Hi")


@pytest.mark.parametrize(
    "text",
    [
        "<|tool_call>",
        "<|tool_call>call:",
        "<|tool_call>call:f",
        "<|tool_call>call:f(a=1)",
        "<|tool_call>f{a:1}",
        "call:f{a:1}",
        "<|tool_cal",
        '<|"|>',
    ],
)
def test_what_is_not_a_call_is_text(text: str) -> None:
    assert read_every_way(gemma, text).content == text


@pytest.mark.parametrize(
    ("arguments", "told", "rest"),
    [
        ('a:<|"|>x', '{"a": "x', ""),
        ("a:1", '{"a": 1', ""),
        ("a:tru", '{"a": ', ""),
        ("a:1]", '{"a": 1', "]"),
        ("a", '{"a"', ""),
        ("a:{b:[1", '{"a": {"b": [1', ""),
    ],
)
def test_a_call_that_breaks_or_was_cut(arguments: str, told: str, rest: str) -> None:
    result = read_every_way(gemma, f"<|tool_call>call:f{{{arguments}")
    assert result.calls[0][0] == "f"
    assert told.startswith(result.calls[0][1])
    assert (result.ended, result.malformed) == ([False], 1)
    assert result.content.endswith(rest)


def test_deep_nesting_ends_the_call() -> None:
    assert read(gemma, f"<|tool_call>call:f{{a:{'[' * 10_000}").ended == [False]


def test_strings_are_told_as_they_come() -> None:
    parser = gemma()
    assert parser.feed("<|tool_call>call:f{") == [CallStart("f"), CallArguments("{")]
    assert parser.feed('a:<|"|>x "') == [CallArguments('"a": "x \\"')]
    assert parser.feed('y<|"|>,b:1') == [CallArguments('y", "b": ')]
    assert parser.feed("2}") == [CallArguments("12}"), CallEnd()]


def test_every_cut_keeps_what_was_told() -> None:
    calls = call('a:<|"|>x<|"|>,b:[1,{c:tr}]') + call("n:5")
    read_cut_off(gemma, f"<|channel>thought\nhm<channel|>Hi {calls}")


_PIECES = st.sampled_from(
    [
        *(
            "<|channel>",
            "thought",
            "<channel|>",
            "<|tool_call>",
            "<tool_call|>",
            "call:f{",
            '<|"|>',
        ),
        *('<|"|>', "a", ":", ",", "1", "true", "{", "}", "[", "]", " ", "\n", "<", '"', "\\"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=16).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(gemma, *pieces) == read(gemma, text) == read(gemma, *text)
