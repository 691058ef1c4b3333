"""Muse's messages to itself, to the user and to tools."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.channels import MUSE
from app.chat.parsers.base import StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

TOOLS = (Tool("f", parameters={"properties": {"s": {"type": "string"}, "n": {"type": "integer"}}}),)
START = "<|start|>assistant"
CALLS = """<atem:function_calls>
<atem:invoke name="f">
<atem:parameter name="s">a
</atem:parameter>
<atem:parameter name="n">1</atem:parameter>
</atem:invoke>
</atem:function_calls>"""
CALL = ["f", '{"s":"a\\n","n":1}']


def muse(prompt_end: str = START, *, tools: bool = True) -> StreamParser:
    return MUSE.make_parser(TOOLS if tools else (), thinks=False, prompt_end=prompt_end)


def test_thought_text_and_parallel_calls() -> None:
    text = (
        f" to=self<|message|>hm<|eom|>{START} to=user<|message|>Look.<|eom|>"
        f"{START} to=f<|message|>{CALLS}<|eom|>{START} to=f<|message|>{CALLS}<|eot|>"
    )
    result = read_every_way(muse, text)
    assert result == Read("Look.", "hm", calls=[CALL, CALL], ended=[True, True])
    read_cut_off(muse, text)


@pytest.mark.parametrize("prompt_end", [START, "<|start|>user<|message|>Hey<|eot|>", ""])
def test_a_model_may_write_the_header_again(prompt_end: str) -> None:
    text = f"{START} to=f<|message|>{CALLS}<|eot|>"
    assert read_every_way(partial(muse, prompt_end), text).calls == [CALL]


def test_a_message_that_the_prompt_has_begun() -> None:
    prompt_end = f"{START} to=self<|message|>So"
    text = f" it is.<|eom|>{START} to=user<|message|>Yes."
    result = read_every_way(partial(muse, prompt_end), text)
    assert (result.reasoning, result.content) == ("it is.", "Yes.")


@pytest.mark.parametrize("recipient", ["user", "self"])
def test_calls_in_other_messages_are_spoken_of(recipient: str) -> None:
    result = read_every_way(muse, f" to={recipient}<|message|>Write {CALLS}<|eot|>")
    assert result.calls == []
    assert f"Write {CALLS}" in {result.content, result.reasoning}


def test_text_without_a_header_is_text() -> None:
    assert read_every_way(muse, "assistants to=x are").content == "assistants to=x are"


def test_what_is_no_call_is_text_and_without_tools_all_is() -> None:
    result = read_every_way(muse, ' to=f<|message|>{"s": 1}<|eot|>')
    assert result == Read('{"s": 1}', malformed=1)
    result = read_every_way(partial(muse, tools=False), f" to=f<|message|>{CALLS}")
    assert result == Read(CALLS)


def test_a_cut_call_keeps_what_was_told() -> None:
    text = f" to=f<|message|>{CALLS}".partition("\n</atem:parameter>")[0]
    assert read_every_way(muse, text) == Read(calls=[["f", '{"s":"a']], ended=[False], malformed=1)


_PIECES = st.sampled_from(
    [
        *(START, "<|start|>", " to=f", " to=self", " to=user", "<|message|>", "<|eom|>", "<|eot|>"),
        *('<atem:function_calls><atem:invoke name="f">', "</atem:invoke>", CALLS, "x", "\n", "<"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=10).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(muse, *pieces) == read(muse, text) == read(muse, *text)
