"""Prompts that leave a call open: the answer goes on inside it, and the call is told as a whole."""

import json
import re
import time
from functools import partial
from pathlib import Path

import pytest

from app.chat.formats.registry import BY_NAME, find_format
from app.core.messages import Message, Tool
from tests.unit.chat.reading import Read, read, read_every_way
from tests.unit.chat.test_real_formats import CALL, TOOLS
from tests.unit.chat.test_real_templates import FILES, load, pytestmark

__all__ = ["pytestmark"]

_TOKEN = re.compile(r"<\|[^<>|]+\|>")
WEATHER = (Tool("get_weather", parameters={"properties": {"city": {"type": "string"}}}),)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_template_writes_may_be_cut_anywhere(path: Path) -> None:
    """The prompt has the first part of it, the model writes the rest."""
    template = load(path)
    spoken = find_format(template.source)
    answer = Message("assistant", "Let me see.", tool_calls=(CALL,))
    result = Message("tool", "(sunny)", tool_call_id=CALL.id)
    text = template.render((Message("user", "(question)"), answer, result), tools=TOOLS).text
    written = text.rpartition("(question)")[2].rpartition("(sunny)")[0]
    whole = read(partial(spoken.make_parser, TOOLS, thinks=True), written)
    start, last = max(written.find("Let me see."), 0), written.rfind("hours")  # of the arguments
    in_token = [range(token.start() + 1, token.end()) for token in _TOKEN.finditer(written)]
    for at in range(start, last):
        if not any(at in token for token in in_token):
            parser = partial(spoken.make_parser, TOOLS, thinks=True, prompt_end=written[:at])
            assert read(parser, written[at:]).calls == whole.calls, written[:at]


def go_on(name: str, prompt_end: str, text: str, tools: tuple[Tool, ...] = WEATHER) -> Read:
    spoken = BY_NAME[name]
    return read_every_way(
        partial(spoken.make_parser, tools, thinks=True, prompt_end=prompt_end), text
    )


@pytest.mark.parametrize(
    ("name", "prompt_end", "text"),
    [
        ("hermes", '<tool_call>\n{"', 'name": "get_weather", "arguments": {"city": "Rome"}}'),
        ("hermes", "Hi <tool", '_call>{"name": "get_weather", "arguments": {"city": "Rome"}}'),
        ("llama-3", '{"name": "get_', 'weather", "parameters": {"city": "Rome"}}'),
        ("llama-4", "[get_weather(ci", 'ty="Rome")]'),
        (
            "gpt-oss",
            '<|start|>assistant<|channel|>commentary to=functions.get_weather<|message|>{"city": ',
            '"Rome"}<|call|>',
        ),
        (
            "gpt-oss",
            "<|start|>assistant to=functions.get_",
            'weather<|channel|>commentary json<|message|>{"city": "Rome"}<|call|>',
        ),
        ("functionary-v3.2", ">>>get_weather\n{", '"city": "Rome"}'),
        ("functionary-v3.2", ">>>get_", 'weather\n{"city": "Rome"}'),
        (
            "muse",
            "<|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke na",
            'me="get_weather"><atem:parameter name="city">Rome</atem:parameter></atem:invoke>',
        ),
        (
            "qwen3-coder",
            "<think>\nI call.\n<tool_call>\n<function=get_weather>\n<parameter=",
            "city>\nRome\n</parameter>\n</function>\n</tool_call>",
        ),
    ],
)
def test_an_open_call_goes_on(name: str, prompt_end: str, text: str) -> None:
    said = go_on(name, prompt_end, text)
    assert [(call[0], json.loads(call[1])) for call in said.calls] == [
        ("get_weather", {"city": "Rome"})
    ]
    assert (said.content, said.reasoning, said.malformed) == ("", "", 0)


@pytest.mark.parametrize(
    ("name", "prompt_end", "text"),
    [
        ("hermes", "Use the <tool_call> tag", " like so"),
        ("hermes", "<tool_ca", "ke> is nice"),
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>', "Done."),
        ("llama-3", '{"a": ', "5}"),
        ("functionary-v3.2", ">>>", "Hello."),
        ("functionary-v3.2", ">>>all\nHello", " there."),
        ("gpt-oss", "<|start|>assistant<|channel|>final<|message|>Hel", "lo."),
        ("muse", "<|start|>assistant to=user<|message|>Hel", "lo."),
    ],
)
def test_what_is_no_open_call_is_text(name: str, prompt_end: str, text: str) -> None:
    said = go_on(name, prompt_end, text)
    assert (said.content, said.calls, said.malformed) == (text, [], 0)


def test_an_open_thought_may_speak_of_calls() -> None:
    said = go_on("hermes", "<think>\nWith <tool_call>\n", "I could.\n</think>\n\nNo.")
    assert (said.reasoning, said.content, said.calls) == ("I could.", "No.", [])


def test_without_tools_nothing_is_open() -> None:
    said = go_on("hermes", '<tool_call>\n{"name": "', 'get_weather"}', ())
    assert (said.content, said.calls) == ('get_weather"}', [])


def test_of_a_malformed_call_only_the_model_s_text_is_told() -> None:
    said = go_on("hermes", 'Hi <tool_call>\n{"name": 5', " and more")
    assert (said.content, said.calls, said.malformed) == (" and more", [], 1)
    said = go_on("hermes", 'Hi <tool_call>\n{"na', 'me": 5} and more')
    assert (said.content, said.calls, said.malformed) == ('me": 5} and more', [], 1)


def test_a_beginning_full_of_openers_takes_no_long_time() -> None:
    spoken = BY_NAME["llama-3"]
    started = time.process_time()
    assert spoken.find_open_call(WEATHER, "[{" * 200_000) == ""
    assert time.process_time() - started < 1
