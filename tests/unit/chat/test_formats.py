"""Which parser an answer gets."""

import pytest

from app.chat.formats.json_objects import HERMES
from app.chat.formats.registry import BY_NAME, FORMATS, find_format
from app.chat.parsers.base import PlainParser
from app.core.messages import Tool
from tests.unit.chat.reading import read, read_every_way

TOOLS = (Tool("f"),)


def test_a_template_without_signs_speaks_hermes() -> None:
    assert find_format("{{ messages }}") is HERMES


def test_an_answer_without_markers_is_not_searched_for_them() -> None:
    assert isinstance(HERMES.make_parser((), thinks=False), PlainParser)


def test_the_parser_starts_where_the_prompt_ends() -> None:
    assert not HERMES.make_parser(TOOLS, thinks=True).is_reasoning
    assert HERMES.make_parser((), thinks=False, prompt_end="<think>\n").is_reasoning
    closed = HERMES.make_parser(TOOLS, thinks=True, prompt_end="<think>\n\n</think>\n\n")
    assert not closed.is_reasoning


def test_instructions_alone_may_tell_the_format() -> None:
    template = "Write [func_name1(params_name1=params_value1, params_name2=params_value2...)]"
    form = find_format(template)
    result = read(lambda: form.make_parser(TOOLS, thinks=False), "Well. [f(a=1)]")
    assert (result.content, result.calls) == ("Well.", [["f", '{"a": 1}']])


GCML = "｜GCML｜"


@pytest.mark.parametrize(
    ("template", "name", "written"),
    [
        (
            "Make calls: make calls in a single JSON array: ",
            "xlam",
            '[{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {}}]',
        ),
        (
            "<function_call> {{ call }}",
            "granite-20b",
            (
                '<function_call> {"name": "f", "arguments": {"a": 1}} <function_call> '
                '{"name": "f", "arguments": {}}'
            ),
        ),
        (
            "<start_function_call>call:{{ name }}{ {{ key }}:<escape>",
            "functiongemma",
            (
                "<start_function_call>call:f{a:1}<end_function_call>"
                "<start_function_call>call:f{}<end_function_call><start_function_response>"
            ),
        ),
        (
            f"<{GCML}tool_calls> <{GCML}invoke name= <|role_sep|> function call",
            "gigachat-3.5",
            (
                f'<{GCML}tool_calls>\n<{GCML}invoke name="f">\n'
                f'<{GCML}parameter name="a" string="false">1</{GCML}parameter>\n</{GCML}invoke>\n'
                f'<{GCML}invoke name="f">\n</{GCML}invoke>\n</{GCML}tool_calls>'
            ),
        ),
    ],
)
def test_a_template_tells_the_format(template: str, name: str, written: str) -> None:
    form = find_format(template)
    result = read_every_way(lambda: form.make_parser(TOOLS, thinks=False), f"Well.\n{written}")
    calls = [(called, arguments.replace(" ", "")) for called, arguments in result.calls]
    assert (form.name, result.content) == (name, "Well.")
    assert calls == [("f", '{"a":1}'), ("f", "{}")]


def test_the_turn_s_own_markers_say_nothing() -> None:
    form = find_format("Write a json-formatted list of actions.")
    text = "<|CHATBOT_TOKEN|>Hello.<|END_OF_TURN_TOKEN|>"
    assert read(lambda: form.make_parser((), thinks=False), text).content == "Hello."


def test_every_format_has_a_name_of_its_own() -> None:
    assert list(BY_NAME.values()) == list(FORMATS)
    assert all(find_format("<tool_call>", one.name) is one for one in FORMATS)
