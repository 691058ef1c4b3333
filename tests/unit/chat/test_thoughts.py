"""Calls out of an open thought, and what only looks like one."""

from functools import partial

import pytest

from app.chat.formats.argument_pairs import GLM, LING
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.json_objects import HERMES
from app.chat.formats.named_arguments import KIMI_K2
from app.chat.formats.tagged_parameters import DEEPSEEK_V3_2, DEEPSEEK_V4, QWEN3_CODER
from app.chat.parsers.answer import Thought
from app.chat.parsers.base import StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import read_every_way

TOOLS = (Tool("f"),)
DSML = '<｜DSML｜{0}>\n<｜DSML｜invoke name="f">\n</｜DSML｜invoke>\n</｜DSML｜{0}>'
CALLS = {
    QWEN3_CODER: "<tool_call>\n<function=f>\n</function>\n</tool_call>",
    DEEPSEEK_V3_2: DSML.format("function_calls"),
    DEEPSEEK_V4: DSML.format("tool_calls"),
    LING: "<tool_call>f\n</tool_call>",
    KIMI_K2: "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
}
formats = pytest.mark.parametrize("form", CALLS, ids=lambda form: form.name)


def make(form: ChatFormat) -> StreamParser:
    return form.make_parser(TOOLS, thinks=True, prompt_end="<think>\n")


@formats
def test_a_call_ends_a_thought(form: ChatFormat) -> None:
    result = read_every_way(partial(make, form), f"I need f.\n{CALLS[form]}")
    assert (result.reasoning, result.content) == ("I need f.", "")
    assert [call[:2] for call in result.calls] == [["f", "{}"]]


def test_in_other_formats_it_belongs_to_the_thought() -> None:
    text = "I could write <tool_call>f\n</tool_call>."
    result = read_every_way(partial(make, GLM), text)
    assert (result.reasoning, result.calls) == (text, [])


@pytest.mark.parametrize("form", [QWEN3_CODER, KIMI_K2], ids=lambda form: form.name)
def test_a_thought_about_the_markers_goes_on(form: ChatFormat) -> None:
    (opener, *_) = form.calls.openers.texts
    thought = f"Calls begin with {opener} and {opener} again."
    result = read_every_way(partial(make, form), f"{thought}\n</think>\n\nSo it is.")
    assert (result.reasoning, result.content, result.calls) == (thought, "So it is.", [])
    assert result.malformed == 0


def test_and_may_call_after_all() -> None:
    text = f"With <tool_call> tags:\n{CALLS[QWEN3_CODER]}\nDone."
    result = read_every_way(partial(make, QWEN3_CODER), text)
    assert (result.reasoning, result.content) == ("With <tool_call> tags:", "Done.")
    assert result.calls == [["f", "{}"]]


def test_a_turn_s_end_after_the_answer_says_nothing() -> None:
    parser = partial(LING.make_parser, TOOLS, thinks=True)
    assert read_every_way(parser, "Hello.<|role_end|>").content == "Hello."


@formats
def test_without_tools_a_thought_ends_only_where_it_is_closed(form: ChatFormat) -> None:
    parser = partial(form.make_parser, (), thinks=True, prompt_end="<think>\n")
    thought = f"They write {CALLS[form]} there."
    result = read_every_way(parser, f"{thought}\n</think>\n\nSo it is.")
    assert (result.reasoning, result.content, result.calls) == (thought, "So it is.", [])
    never_closed = read_every_way(parser, thought)
    assert (never_closed.reasoning, never_closed.content) == (thought, "")


@pytest.mark.parametrize(
    ("thought", "text"),
    [
        (Thought("◁think▷", "◁/think▷"), "◁think▷Hm.◁/think▷Hello."),
        (Thought("◁think▷", "◁/think▷"), "<think>\nHm.\n</think>\n\nHello."),
        (Thought("<thinking>", "</thinking>"), "<thinking>\nHm.\n</thinking>\nHello."),
    ],
)
def test_a_template_may_have_markers_of_its_own(thought: Thought, text: str) -> None:
    parser = partial(HERMES.make_parser, TOOLS, thinks=True, thought=thought)
    result = read_every_way(parser, text)
    assert (result.reasoning, result.content) == ("Hm.", "Hello.")
    begun = partial(parser, prompt_end=f"assistant{thought.open}")
    result = read_every_way(begun, f"Hm.{thought.close}Hello.")
    assert (result.reasoning, result.content) == ("Hm.", "Hello.")
