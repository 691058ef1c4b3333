"""Parsing thinking and Hermes tool calls: the result never depends on how the text was cut."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.json_objects import HERMES
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Reasoning, StreamParser, Text
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_every_way

CALL = (
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "n": [1, "}"]}}\n</tool_call>'
)
ARGUMENTS = '{"city": "Paris", "n": [1, "}"]}'


def hermes(
    *, thinking: bool = True, tools: bool = True, starts_in_reasoning: bool = False
) -> StreamParser:
    offered = (Tool("weather"), Tool("f")) if tools else ()
    prompt_end = "<think>" if starts_in_reasoning else ""
    return HERMES.make_parser(offered, thinks=thinking, prompt_end=prompt_end)


@pytest.mark.parametrize("text", ["", "Hello", "a < b <tool", "<think", "  ", "x\n\n", "\n<i>"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert read_every_way(hermes, text) == Read(content=text)


def test_thinking_goes_to_its_own_channel() -> None:
    result = read_every_way(hermes, "\n<think>\nlet me see\n</think>\n\nParis.")
    assert result == Read(content="Paris.", reasoning="let me see")


def test_an_empty_thinking_block_leaves_nothing() -> None:
    assert read_every_way(hermes, "<think>\n\n</think>\n\nParis.") == Read(content="Paris.")


def test_thinking_that_never_ends_is_all_reasoning() -> None:
    assert read_every_way(hermes, "<think>on and </thin") == Read(reasoning="on and </thin")


def test_thinking_counts_only_at_the_start() -> None:
    text = "The tag <think> opens a block</think>."
    assert read_every_way(hermes, text) == Read(content=text)


def test_thinking_that_the_prompt_opened() -> None:
    result = read_every_way(partial(hermes, starts_in_reasoning=True), "so\n</think>\nYes")
    assert result == Read(content="Yes", reasoning="so")


def test_thinking_that_the_model_opens_again() -> None:
    make = partial(hermes, starts_in_reasoning=True)
    assert read_every_way(make, "\n<think>\nso</think>Yes") == Read(content="Yes", reasoning="so")


def test_a_model_without_thinking_may_write_the_tag() -> None:
    assert read_every_way(partial(hermes, thinking=False), "<think>x") == Read(content="<think>x")


def test_a_call_is_read() -> None:
    result = read_every_way(hermes, CALL)
    assert result == Read(calls=[["weather", ARGUMENTS]], ended=[True])


def test_text_and_calls_after_thinking() -> None:
    result = read_every_way(hermes, f"<think>hm</think>\nI look.\n\n{CALL}\n{CALL}\n")
    assert result == Read(
        content="I look.",
        reasoning="hm",
        calls=[["weather", ARGUMENTS], ["weather", ARGUMENTS]],
        ended=[True, True],
    )


@pytest.mark.parametrize(
    ("before", "between", "after", "content"),
    [
        ("Both: ", "", " Done.", "Both: Done."),
        ("One.\n\n", "\n", "\nTwo.\n", "One.\n\nTwo."),
        ("One.", "\n", "\n\nTwo.", "One.\nTwo."),
        ("", "\n", "\nTwo.", "Two."),
        ("One.\n", "\n", "\n", "One."),
    ],
)
def test_text_around_calls_keeps_one_run_of_white_space(
    before: str, between: str, after: str, content: str
) -> None:
    result = read_every_way(hermes, f"{before}{CALL}{between}{CALL}{after}")
    assert (result.content, len(result.calls)) == (content, 2)


def test_calls_inside_thinking_are_thoughts() -> None:
    result = read_every_way(hermes, f"<think>{CALL}</think>ok")
    assert (result.content, result.reasoning, result.calls) == ("ok", CALL, [])


def test_without_tools_a_call_is_text() -> None:
    assert read_every_way(partial(hermes, tools=False), CALL) == Read(content=CALL)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ('{"name": "f"}', "{}"),
        ('{"name": "f", "arguments": {}}', "{}"),
        ('{"name": "f", "arguments": null}', "{}"),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('{"arguments": {"a": "\\"}"}, "name": "f"}', '{"a": "\\"}"}'),
        ('{"name":"f","parameters":{"a":{"b":[]}}}', '{"a":{"b":[]}}'),
        ('{"id": 7, "name": "f", "arguments": { "a" : true } }', '{ "a" : true }'),
    ],
)
def test_the_forms_of_a_call(body: str, arguments: str) -> None:
    result = read_every_way(hermes, f"<tool_call>{body}</tool_call>")
    assert result == Read(calls=[["f", arguments]], ended=[True])


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>not json</tool_call>",
        "<tool_call>\n{'name': 'f'}\n</tool_call> after",
        '<tool_call>{"arguments": {"a": 1}}</tool_call>',
        '<tool_call>{"name": 5}</tool_call>',
        '<tool_call>{"name": ""}</tool_call>',
        '<tool_call>{"name": "\\ud800"}</tool_call>',
        '<tool_call>{"name',
        "text <tool_call>",
        "<tool_call>[1]</tool_call>",
        '<tool_call>{"x": ' + "[" * 100,
    ],
)
def test_what_is_not_a_call_stays_text(text: str) -> None:
    assert read_every_way(hermes, text) == Read(content=text, malformed=1)


def test_deep_nesting_in_a_call_is_text() -> None:
    """Also where the arguments are a string: their text need not be JSON that can be read."""
    deep = "[" * 100_000
    content = f'<tool_call>{{"name": {deep}'
    assert read(hermes, content).content == content
    told = f'<tool_call>{{"name": "f", "arguments": "{deep}"}}</tool_call>'
    assert read(hermes, told).malformed == 1


def test_a_call_after_a_malformed_one_is_read() -> None:
    result = read_every_way(hermes, f"<tool_call>oops {CALL}")
    assert result == Read(
        content="<tool_call>oops", calls=[["weather", ARGUMENTS]], ended=[True], malformed=1
    )


def test_a_cut_call_keeps_what_was_told() -> None:
    result = read_every_way(hermes, '<tool_call>{"name": "f", "arguments": {"a": "b')
    assert result == Read(calls=[["f", '{"a": "b']], ended=[False], malformed=1)


def test_a_call_that_breaks_after_its_name() -> None:
    result = read_every_way(hermes, '<tool_call>{"name": "f", "arguments": {"a": ]} rest')
    assert result == Read(content="]} rest", calls=[["f", '{"a": ']], ended=[False], malformed=1)


def test_a_whole_call_needs_no_closing_marker_at_the_end() -> None:
    result = read_every_way(hermes, '<tool_call>{"name": "f", "arguments": {}}\n</tool')
    assert result == Read(calls=[["f", "{}"]], ended=[True])


def test_the_start_is_told_as_soon_as_the_name_is_known() -> None:
    parser = hermes(thinking=False, tools=True)
    assert parser.feed('<tool_call>{"name": "f"') == [CallStart("f")]
    assert parser.feed(', "arguments": {"a"') == [CallArguments('{"a"')]
    assert parser.feed(": 1}") == [CallArguments(": 1}")]
    assert parser.feed("}</tool_call>") == [CallEnd()]


def test_only_what_may_be_a_marker_is_held_back() -> None:
    parser = hermes(thinking=False, tools=True)
    assert parser.feed("abc <too") == [Text("abc", 3)]
    assert parser.feed("th") == [Text(" <tooth", 10)]
    assert parser.feed("x") == [Text("x", 11)]


def test_ends_count_the_characters_of_the_model() -> None:
    parser = hermes(thinking=True, tools=False)
    parts = parser.feed("<think>ab</think>\n\ncd")
    assert parts == [Reasoning("ab", 9), Text("cd", 21)]


_PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<tool_call>", "</tool_call>", '{"name": "f", "arguments": '),
        *("{}", '{"a": "x"}', "}", " ", "\n", "text", "<", '"', "\\", "[", "]", ","),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=12).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(hermes, *pieces) == read(hermes, text) == read(hermes, *text)


def test_line_breaks_in_strings_are_told_as_json_has_them() -> None:
    text = '<tool_call>{"name": "f", "arguments": {"a": "1\n\t2\x01\\n3"}}</tool_call>'
    result = read_every_way(hermes, text)
    assert (result.calls, result.ended) == ([["f", '{"a": "1\\n\\t2\\u0001\\n3"}']], [True])
