"""Calls that are written a little wrong, and mean only one thing."""

from functools import partial

import pytest

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.gemma import GEMMA_4
from app.chat.formats.json_objects import HERMES
from app.chat.formats.named_arguments import DEEPSEEK_R1, KIMI_K2, MISTRAL
from app.chat.formats.python_lists import PYTHON_LISTS
from app.chat.formats.registry import BY_NAME
from app.chat.formats.tagged_parameters import KIMI_K3, QWEN3_CODER
from app.chat.parsers.base import StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read_every_way

TOOLS = (
    Tool("f", parameters={"type": "object", "properties": {"a": {"type": "integer"}}}),
    Tool("g"),
)
CALL = '{"name": "f", "arguments": {"a": 1}}'
LLAMA_3 = next(one for one in PYTHON_LISTS if one.name == "llama-3")
LFM2 = next(one for one in PYTHON_LISTS if one.name == "lfm2")
APRIEL = BY_NAME["apriel"]


def make(form: ChatFormat, prompt_end: str = "") -> StreamParser:
    return form.make_parser(TOOLS, thinks=True, prompt_end=prompt_end)


def read_call(form: ChatFormat, text: str) -> Read:
    """What is read of a text with a call of `f` and another of `g` behind."""
    return read_every_way(partial(make, form), text)


@pytest.mark.parametrize(
    ("form", "first"),
    [
        (HERMES, f"<tool_call>{CALL}}}</tool_call>"),
        (HERMES, f"<tool_call>\n{CALL}\n}}}}\n</tool_call>"),
        (HERMES, f"<tool_call>{CALL[:-1]}</tool_call>"),
        (HERMES, f"<tool_call>{CALL[:-2]}\n</tool_call>"),
        (HERMES, f"<tool_call>[{CALL[:-1]}]</tool_call>"),
        (HERMES, f"<tool_call>\n```json\n{CALL}\n```\n</tool_call>"),
        (HERMES, f"<tool_call>```{CALL}```</tool_call>"),
        (QWEN3_CODER, f"<tool_call>\n{CALL}\n</tool_call>"),
        (QWEN3_CODER, f"<tool_call>{CALL}}}</tool_call>"),
    ],
)
def test_json_in_its_markers(form: ChatFormat, first: str) -> None:
    second = '<tool_call>{"name": "g", "arguments": {}}</tool_call>'
    result = read_call(form, f"A\n{first}\n{second}")
    assert [(name, text.replace("\n", "")) for name, text in result.calls] == [
        ("f", '{"a": 1}'),
        ("g", "{}"),
    ]
    assert (result.content, result.ended, result.malformed) == ("A", [True, True], 0)


@pytest.mark.parametrize(
    ("form", "text", "call"),
    [
        (MISTRAL, '[TOOL_CALLS]f[ARGS]{"a": 1}}', ["f", '{"a": 1}']),
        (LLAMA_3, '{"name": "f", "parameters": {"a": 1}}}', ["f", '{"a": 1}']),
        (
            KIMI_K2,
            (
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
                '<|tool_call_argument_begin|>{"a": 1<|tool_call_end|><|tool_calls_section_end|>'
            ),
            ["f", '{"a": 1}', "functions.f:0"],
        ),
        (
            DEEPSEEK_R1,
            (
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n"
                '{"a": 1}}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>'
            ),
            ["f", '{"a": 1}'],
        ),
        (
            APRIEL,
            '<tool_calls>[{"name": "f", "arguments": {"a": 1}, "id": "c1"}]</tool_calls>',
            ["f", '{"a": 1}', "c1"],
        ),
        (
            BY_NAME["internlm2"],
            f"<|action_start|><|plugin|>{CALL}<|action_end|>",
            ["f", '{"a": 1}'],
        ),
        (BY_NAME["cohere2"], f"<|START_ACTION|>[{CALL}]<|END_ACTION|>", ["f", '{"a": 1}']),
        (GEMMA_4, "<|tool_call>:f{a:1}<tool_call|>", ["f", '{"a": 1}']),
        (LFM2, "<|tool_call_start|>[f(a=01)]<|tool_call_end|>", ["f", '{"a": 1}']),
        (LFM2, "<|tool_call_start|>[f(a={1, 'x'})]<|tool_call_end|>", ["f", '{"a": [1, "x"]}']),
        (LFM2, "<|tool_call_start|>[f(a={(1,), 2})]<|tool_call_end|>", ["f", '{"a": [[1], 2]}']),
        (LFM2, "<|tool_call_start|>[f(a={1: 'x'})]<|tool_call_end|>", ["f", '{"a": {"1": "x"}}']),
    ],
)
def test_other_formats(form: ChatFormat, text: str, call: list[str]) -> None:
    assert read_call(form, text) == Read(calls=[call], ended=[True])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"{CALL}</tool_call", f"{CALL}</tool_call"),  # no opener, no call
        ('<tool_call>{"n": "f"', '<tool_call>{"n": "f"'),
        ("<tool_call>```json\n```</tool_call>", "<tool_call>```json\n```</tool_call>"),
    ],
)
def test_what_could_mean_something_else_stays_text(text: str, content: str) -> None:
    assert read_call(HERMES, text).content == content


def test_a_cut_off_call_is_not_mended() -> None:
    result = read_call(HERMES, CALL.join(["<tool_call>", ""])[:-3])
    assert (result.calls, result.ended) == ([["f", '{"a": ']], [False])


def test_white_space_inside_of_markup_is_no_text() -> None:
    call = "<tool_call>\n<function=g>\n</function>\n</tool_call>"
    result = read_every_way(partial(make, QWEN3_CODER), f"a{call}b {call}\nc")
    assert (result.content, len(result.calls)) == ("ab c", 2)


@pytest.mark.parametrize("thought", ["", "hm"])
def test_a_reply_ends_a_thought_that_was_left_open(thought: str) -> None:
    reply = "<|open|>response<|sep|>Hi<|close|>response<|sep|><|close|>message<|sep|>"
    prompt_end = '<|open|>message role="assistant"<|sep|><|open|>think<|sep|>'
    result = read_every_way(
        lambda: KIMI_K3.make_parser((), thinks=True, prompt_end=prompt_end), thought + reply
    )
    assert result == Read("Hi", thought)
