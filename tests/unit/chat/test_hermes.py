"""Parsing thinking and Hermes tool calls: the result never depends on how the text was cut."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Part, Reasoning, Text
from app.chat.parsers.hermes import HermesParser

CALL = (
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "n": [1, "}"]}}\n</tool_call>'
)
ARGUMENTS = '{"city": "Paris", "n": [1, "}"]}'


@dataclass
class Read:
    """What came out, pieces joined."""

    content: str = ""
    reasoning: str = ""
    calls: list[list[str]] = field(default_factory=list[list[str]])
    ended: list[bool] = field(default_factory=list[bool])
    malformed: int = 0

    def add(self, parts: list[Part]) -> None:
        for part in parts:
            match part:
                case Text():
                    assert part.text
                    self.content += part.text
                case Reasoning():
                    assert part.text
                    self.reasoning += part.text
                case CallStart():
                    self.calls.append([part.name, ""])
                case CallArguments():
                    self.calls[-1][1] += part.text
                case CallEnd():
                    self.ended.append(part.is_whole)


def read(
    *pieces: str, thinking: bool = True, tools: bool = True, starts_in_reasoning: bool = False
) -> Read:
    parser = HermesParser(thinking=thinking, tools=tools, starts_in_reasoning=starts_in_reasoning)
    result = Read()
    for piece in pieces:
        result.add(parser.feed(piece))
    result.add(parser.finish())
    result.malformed = parser.malformed
    return result


def read_every_way(text: str, **options: bool) -> Read:
    """Cut once at every place, and into single characters; all must agree."""
    whole = read(text, **options)
    for at in range(len(text) + 1):
        assert read(text[:at], text[at:], **options) == whole, f"cut at {at}: {text[:at]!r}"
    assert read(*text, **options) == whole
    return whole


@pytest.mark.parametrize("text", ["", "Hello", "a < b <tool", "<think", "  ", "x\n\n", "\n<i>"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert read_every_way(text) == Read(content=text)


def test_thinking_goes_to_its_own_channel() -> None:
    result = read_every_way("\n<think>\nlet me see\n</think>\n\nParis.")
    assert result == Read(content="Paris.", reasoning="let me see")


def test_an_empty_thinking_block_leaves_nothing() -> None:
    assert read_every_way("<think>\n\n</think>\n\nParis.") == Read(content="Paris.")


def test_thinking_that_never_ends_is_all_reasoning() -> None:
    assert read_every_way("<think>on and </thin") == Read(reasoning="on and </thin")


def test_thinking_counts_only_at_the_start() -> None:
    text = "The tag <think> opens a block</think>."
    assert read_every_way(text) == Read(content=text)


def test_thinking_that_the_prompt_opened() -> None:
    result = read_every_way("so\n</think>\nYes", starts_in_reasoning=True)
    assert result == Read(content="Yes", reasoning="so")


def test_a_model_without_thinking_may_write_the_tag() -> None:
    assert read_every_way("<think>x", thinking=False) == Read(content="<think>x")


def test_a_call_is_read() -> None:
    result = read_every_way(CALL)
    assert result == Read(calls=[["weather", ARGUMENTS]], ended=[True])


def test_text_and_calls_after_thinking() -> None:
    result = read_every_way(f"<think>hm</think>\nI look.\n\n{CALL}\n{CALL}\n")
    assert result == Read(
        content="I look.",
        reasoning="hm",
        calls=[["weather", ARGUMENTS], ["weather", ARGUMENTS]],
        ended=[True, True],
    )


def test_calls_inside_thinking_are_thoughts() -> None:
    result = read_every_way(f"<think>{CALL}</think>ok")
    assert (result.content, result.reasoning, result.calls) == ("ok", CALL, [])


def test_without_tools_a_call_is_text() -> None:
    assert read_every_way(CALL, tools=False) == Read(content=CALL)


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
    result = read_every_way(f"<tool_call>{body}</tool_call>")
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
    assert read_every_way(text) == Read(content=text, malformed=1)


def test_deep_nesting_in_a_call_is_text() -> None:
    """Also where the arguments are a string: their text need not be JSON that can be read."""
    deep = "[" * 100_000
    content = f'<tool_call>{{"name": {deep}'
    assert read(content).content == content
    told = f'<tool_call>{{"name": "f", "arguments": "{deep}"}}</tool_call>'
    assert read(told).malformed == 1


def test_a_call_after_a_malformed_one_is_read() -> None:
    result = read_every_way(f"<tool_call>oops {CALL}")
    assert result == Read(
        content="<tool_call>oops", calls=[["weather", ARGUMENTS]], ended=[True], malformed=1
    )


def test_a_cut_call_keeps_what_was_told() -> None:
    result = read_every_way('<tool_call>{"name": "f", "arguments": {"a": "b')
    assert result == Read(calls=[["f", '{"a": "b']], ended=[False], malformed=1)


def test_a_call_that_breaks_after_its_name() -> None:
    result = read_every_way('<tool_call>{"name": "f", "arguments": {"a": ]} rest')
    assert result == Read(content="]} rest", calls=[["f", '{"a": ']], ended=[False], malformed=1)


def test_a_whole_call_needs_no_closing_marker_at_the_end() -> None:
    result = read_every_way('<tool_call>{"name": "f", "arguments": {}}\n</tool')
    assert result == Read(calls=[["f", "{}"]], ended=[True])


def test_the_start_is_told_as_soon_as_the_name_is_known() -> None:
    parser = HermesParser(thinking=False, tools=True)
    assert parser.feed('<tool_call>{"name": "f"') == [CallStart("f")]
    assert parser.feed(', "arguments": {"a"') == [CallArguments('{"a"')]
    assert parser.feed(": 1}") == [CallArguments(": 1}")]
    assert parser.feed("}</tool_call>") == [CallEnd()]


def test_only_what_may_be_a_marker_is_held_back() -> None:
    parser = HermesParser(thinking=False, tools=True)
    assert parser.feed("abc <too") == [Text("abc", 3)]
    assert parser.feed("th") == [Text(" <tooth", 10)]
    assert parser.feed("x") == [Text("x", 11)]


def test_ends_count_the_characters_of_the_model() -> None:
    parser = HermesParser(thinking=True, tools=False)
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
    assert read(*pieces) == read(text) == read(*text)
