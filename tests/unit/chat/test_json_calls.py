"""Reading calls that are JSON objects, in the words of each family that writes them."""

import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.json_objects import JSON_OBJECTS
from app.chat.formats.registry import find_format
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

TOOLS = (Tool("f"), Tool("g.h"))
ARGUMENTS = '{"a": "x</tool_call>]", "b": [1.5, {"ü": null}], "c": "\\ud83d\\ude00 \\"q\\""}'

# How each format writes a call of f with an id, and two calls: of f, then of g.h without arguments.
ONE = {
    "hermes": '<tool_call>\n{"name": "f", "arguments": ARGS}\n</tool_call>',
    "command-r7b": "<|START_ACTION|>[\n    "
    '{"tool_call_id": "0", "tool_name": "f", "parameters": ARGS}\n]<|END_ACTION|>',
    "cohere2": "<|START_ACTION|>[\n    "
    '{"tool_call_id": "0", "tool_name": "f", "parameters": ARGS}\n]<|END_ACTION|>',
    "command-r": "Action:\n```json\n[\n    {\n"
    '        "tool_name": "f",\n        "parameters": ARGS\n    }\n]```',
    "apriel": '<tool_calls>[{"name": "f", "arguments": ARGS}]</tool_calls>',
    "hunyuan": '<tool_calls>[{"name": "f", "arguments": ARGS}]</tool_calls>',
    "tool-calls": '<tool_calls>\n{"name": "f", "arguments": ARGS}\n</tool_calls>',
    "nemotron": '<TOOLCALL>[{"name": "f", "arguments": ARGS}]</TOOLCALL>',
    "mistral-nemo": '[TOOL_CALLS][{"name": "f", "arguments": ARGS, "id": "0"}]',
    "firefunction": ' functools[{"name": "f", "arguments": ARGS}]',
    "phi-4": '<|tool_call|>[{"name": "f", "arguments": ARGS}]<|/tool_call|>',
    "granite-3.2": '<|tool_call|>[{"name": "f", "arguments": ARGS}]',
    "granite-3": '<|tool_call|>[{"name": "f", "arguments": ARGS}]',
    "granite-20b": '<function_call> {"name": "f", "arguments": ARGS}',
    "gigachat-3.1": '<|function_call|>{"name": "f", "arguments": ARGS}',
    "gigachat-3": '<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "f", "arguments": ARGS}',
    "apertus": '<|tools_prefix|>[{"f": ARGS}]<|tools_suffix|>',
    "internlm2": '<|action_start|><|plugin|>\n{"name": "f", "parameters": ARGS}<|action_end|>',
    "longcat": '<longcat_tool_call>\n{"name": "f", "arguments": ARGS}\n</longcat_tool_call>',
}
TWO = {
    "hermes": ONE["hermes"] + '\n<tool_call>\n{"name": "g.h", "arguments": {}}\n</tool_call>',
    "command-r7b": ONE["command-r7b"].replace(
        "\n]", ',\n    {"tool_call_id": "1", "tool_name": "g.h", "parameters": {}}\n]'
    ),
    "tool-calls": ONE["tool-calls"].replace("\n</", '\n{"name": "g.h", "arguments": {}}\n</'),
    "nemotron": ONE["nemotron"].replace("]</", ', {"name": "g.h", "arguments": {}}]</'),
    "mistral-nemo": ONE["mistral-nemo"][:-1] + ', {"name": "g.h", "arguments": {}, "id": "1"}]',
    "apertus": ONE["apertus"].replace("]<|", ', {"g.h": {}}]<|'),
}
WITH_IDS = {"command-r7b", "cohere2", "mistral-nemo"}
NAMES = [one.name for one in JSON_OBJECTS]


def parser(name: str, *, thinks: bool = True, prompt_end: str = "") -> StreamParser:
    return find_format("", name).make_parser(TOOLS, thinks=thinks, prompt_end=prompt_end)


def call_of(
    name: str, tool: str = "f", arguments: str = ARGUMENTS, call_id: str = "0"
) -> list[str]:
    return [tool, arguments, *([call_id] if name in WITH_IDS else [])]


def test_every_format_has_a_golden() -> None:
    assert set(ONE) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_call(name: str) -> None:
    text = ONE[name].replace("ARGS", ARGUMENTS)
    expected = Read(calls=[call_of(name)], ended=[True])
    assert read_every_way(partial(parser, name), text) == expected
    read_cut_off(partial(parser, name), text)


@pytest.mark.parametrize("name", NAMES)
def test_thought_and_text_before_a_call(name: str) -> None:
    thought = find_format("", name).thought
    call = ONE[name].replace("ARGS", "{}")
    text = f"{thought.open}\nhm {call}\n{thought.close}\n\nI look. \n{call}\n"
    if thought.ends_at_call:
        text = f"{thought.open}\nhm \n{thought.close}\n\nI look. \n{call}\n"
    result = read_every_way(partial(parser, name), text)
    assert (result.content, result.malformed) == ("I look.", 0)
    assert result.reasoning.startswith("hm")
    assert result.calls == [call_of(name, arguments="{}")]


@pytest.mark.parametrize("name", TWO)
def test_parallel_calls(name: str) -> None:
    text = TWO[name].replace("ARGS", ARGUMENTS)
    expected = [call_of(name), call_of(name, "g.h", "{}", "1")]
    assert read_every_way(partial(parser, name), text) == Read(calls=expected, ended=[True, True])
    read_cut_off(partial(parser, name), text)


@pytest.mark.parametrize("name", NAMES)
def test_what_only_looks_like_a_marker_is_text(name: str) -> None:
    opener = find_format("", name).calls.openers.texts[0]
    text = f"a {opener[:-1]}. {opener[:-1]} b {opener[:3]}"
    assert read_every_way(partial(parser, name), text) == Read(content=text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", ["", " none", "{]", '{"arguments": 5 5}', "[5]"])
def test_what_is_no_call_stays_text(name: str, body: str) -> None:
    opener = find_format("", name).calls.openers.texts[0]
    text = f"a {opener}{body.removeprefix('[' if opener.endswith('[') else '')} b"
    assert read_every_way(partial(parser, name), text) == Read(content=text, malformed=1)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ('{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}', '{"a": 1}'),
        ('{"function": {"arguments": "{\\"a\\": 1}", "name": "f"}, "id": "x"}', '{"a": 1}'),
        ('[{"name": "f", "parameters": {"a": 1}}]', '{"a": 1}'),
        ('[{"name": "f", "arguments": {"a": 1},},]', '{"a": 1}'),
    ],
)
def test_other_forms_of_an_object(body: str, arguments: str) -> None:
    result = read_every_way(partial(parser, "hermes"), f"<tool_call>{body}</tool_call>")
    assert result == Read(calls=[["f", arguments]], ended=[True])


def test_an_empty_list_is_no_call_and_no_text() -> None:
    assert read_every_way(partial(parser, "nemotron"), "<TOOLCALL>[]</TOOLCALL>") == Read()


def test_after_the_first_call_of_a_list_only_what_is_no_call_is_text() -> None:
    text = '<TOOLCALL>[{"name": "f", "arguments": {}}, {"name": 5}]</TOOLCALL>'
    assert read_every_way(partial(parser, "nemotron"), text) == Read(
        content=', {"name": 5}]</TOOLCALL>',
        calls=[["f", "{}"]],
        ended=[True],
        malformed=1,
    )


def test_arguments_do_not_wait_for_an_id_that_comes_last() -> None:
    mistral = parser("mistral-nemo")
    assert mistral.feed('[TOOL_CALLS][{"name": "f", "argum') == []
    assert mistral.feed('ents": {"a"') == [CallStart("f"), CallArguments('{"a"')]
    assert mistral.feed(': 1}, "id": "abc"') == [CallArguments(": 1}")]
    assert mistral.feed("}") == [CallEnd(id="abc")]


def test_an_id_before_the_arguments_names_the_call() -> None:
    mistral = parser("mistral-nemo")
    text = '[TOOL_CALLS][{"name": "f", "id": "abc", "arguments": {}}]'
    assert mistral.feed(text)[0] == CallStart("f", "abc")


def test_a_call_needs_no_id() -> None:
    text = '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]'
    assert read_every_way(partial(parser, "mistral-nemo"), text) == Read(
        calls=[["f", '{"a": 1}']], ended=[True]
    )


def test_with_the_id_first_the_arguments_stream() -> None:
    command = parser("command-r7b")
    head = '<|START_ACTION|>[{"tool_call_id": "7", "tool_name": "f", '
    assert command.feed(head) == [CallStart("f", "7")]
    assert command.feed('"parameters": {"a"') == [CallArguments('{"a"')]


def test_the_name_as_a_key_streams_too() -> None:
    apertus = parser("apertus")
    assert apertus.feed('<|tools_prefix|>[{"f": {"a') == [CallStart("f"), CallArguments('{"a')]


@pytest.mark.parametrize(
    ("name", "text", "content"),
    [
        ("command-r7b", "<|START_RESPONSE|>Hello,\nyou<|END_RESPONSE|>", "Hello,\nyou"),
        ("command-r7b", "Hello <|START_RESPONSE|>", "Hello <|START_RESPONSE|>"),
        ("cohere2", "<|START_TEXT|>Hello<|END_TEXT|>", "Hello"),
        ("granite-3", "<response>Hello</response>", "Hello"),
        ("granite-3", "Write </response>", "Write </response>"),
        ("hunyuan", "<answer>\nHello\n</answer>", "Hello"),
        ("apriel", "Hello\n[END FINAL RESPONSE]\n", "Hello"),
    ],
)
def test_markers_around_the_text(name: str, text: str, content: str) -> None:
    thought = find_format("", name).thought
    assert read_every_way(partial(parser, name), text).content.rstrip() == content
    result = read_every_way(partial(parser, name), f"{thought.open}hm{thought.close}\n{text}")
    assert (result.content.rstrip(), result.reasoning) == (content, "hm")


def test_markers_around_the_text_are_no_text_without_tools_either() -> None:
    make = partial(find_format("", "cohere2").make_parser, (), thinks=False)
    assert read_every_way(make, "<|START_TEXT|>Hi<|END_TEXT|>") == Read(content="Hi")


def test_a_call_may_end_a_thought() -> None:
    text = '<|inner_prefix|>hm\n<|tools_prefix|>[{"f": {}}]<|tools_suffix|>'
    expected = Read(reasoning="hm", calls=[["f", "{}"]], ended=[True])
    assert read_every_way(partial(parser, "apertus"), text) == expected


def test_a_thought_goes_on_from_the_prompt() -> None:
    make = partial(parser, "hermes", prompt_end="<think>\nI am")
    assert read_every_way(make, " here.\n</think>ok") == Read(content="ok", reasoning=" here.")


_PIECES = [
    *('{"name": "f"', '{"tool_name": "f"', '"tool_call_id": "1"', '"id": "1"', '{"f": ', ", "),
    *('"arguments": ', '"parameters": ', "{}", '{"a": "x"}', "{", "}", "[", "]", '"', "\\", "1"),
    *("text", " ", "\n", "<", '{"type": "function", "function": '),
]


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", ["command-r7b", "apriel", "tool-calls", "mistral-nemo", "apertus"])
@given(data=st.data())
def test_any_text_reads_the_same_however_it_is_cut(name: str, data: st.DataObject) -> None:
    markers = [marker for marker in find_format("", name).markers(has_tools=True) if marker]
    pieces = data.draw(st.lists(st.sampled_from([*_PIECES, *markers * 2]), max_size=14))
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    make = partial(parser, name)
    whole = read(make, text)
    assert read(make, *cut) == whole == read(make, *text)
    for (_, arguments, *_rest), is_whole in zip(whole.calls, whole.ended, strict=True):
        assert not is_whole or json.loads(arguments) is not Ellipsis
