"""Reading gpt-oss's messages."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.channels import GPT_OSS
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, Reasoning, StreamParser, Text
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

TOOLS = (Tool("f"), Tool("run", parameters={"properties": {"code": {}, "seconds": {}}}))
PROMPT = "<|start|>user<|message|>Hi<|end|><|start|>assistant"
ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|channel|>final<|message|>"
NEXT = "<|start|>assistant"
ARGUMENTS = '{"a": "x <|end", "b": [1, {"c": null}]}'
CALL = f"<|channel|>commentary to=functions.f <|constrain|>json<|message|>{ARGUMENTS}<|call|>"


def gpt_oss(*, tools: bool = True, prompt_end: str = PROMPT) -> StreamParser:
    return GPT_OSS.make_parser(TOOLS if tools else (), thinks=True, prompt_end=prompt_end)


@pytest.mark.parametrize("text", ["", "Hello", " to me", "a <|chan", "assistant", "  ", "x\n\n"])
def test_text_without_a_message_around_it_is_text(text: str) -> None:
    assert read_every_way(gpt_oss, text) == Read(content=text)


@pytest.mark.parametrize("end", ["", "<|end|>", "<|return|>"])
def test_the_channels(end: str) -> None:
    text = f"{ANALYSIS}I'm\nthinking<|end|>{NEXT}{FINAL}Hello,\nworld!{end}"
    assert read_every_way(gpt_oss, text) == Read(
        content="Hello,\nworld!", reasoning="I'm\nthinking"
    )


def test_without_tools_the_channels_are_the_same() -> None:
    text = f"{ANALYSIS}hm<|end|>{NEXT}{FINAL}Hi<|return|>"
    make = partial(gpt_oss, tools=False)
    assert read_every_way(make, text) == Read(content="Hi", reasoning="hm")


def test_a_preamble_is_content() -> None:
    text = f"{ANALYSIS}hm<|end|>{NEXT}<|channel|>commentary<|message|>I look.<|end|>{NEXT}{CALL}"
    assert read_every_way(gpt_oss, text) == Read(
        content="I look.", reasoning="hm", calls=[["f", ARGUMENTS]], ended=[True]
    )


@pytest.mark.parametrize(
    "header",
    [
        " to=functions.f<|channel|>analysis<|message|>",
        " to=functions.f<|channel|>commentary json<|message|>",
        "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>",
        "<|channel|>analysis to=functions.f<|message|>",
        "<|channel|>commentary to=functions.f<|constrain|>json<|message|>",
        "<|channel|>commentary to=f code<|message|>",
        "<|channel|>commentary to=assistant<|channel|>commentary to=functions.f<|message|>",
    ],
)
@pytest.mark.parametrize("end", ["<|call|>", "", "\n<|end|>"])
def test_where_the_recipient_stands(header: str, end: str) -> None:
    expected = Read(calls=[["f", ARGUMENTS]], ended=[True])
    assert read_every_way(gpt_oss, header + ARGUMENTS + end) == expected


def test_several_calls() -> None:
    text = f"{CALL}{NEXT}{CALL}commentary{CALL}{FINAL}done"
    assert read_every_way(gpt_oss, text) == Read(
        content="done", calls=[["f", ARGUMENTS]] * 3, ended=[True] * 3
    )


def test_consecutive_messages_of_a_channel() -> None:
    text = f"{ANALYSIS}one <|end|>{NEXT}{ANALYSIS}two{FINAL}three<|end|>{NEXT}{FINAL}four"
    assert read_every_way(gpt_oss, text) == Read(content="threefour", reasoning="onetwo")


@pytest.mark.parametrize("recipient", ["assistant", "user", "all"])
def test_who_is_no_tool(recipient: str) -> None:
    text = f"<|channel|>commentary to={recipient}<|channel|>analysis<|message|>hm"
    assert read_every_way(gpt_oss, text) == Read(reasoning="hm")


@pytest.mark.parametrize(
    ("suffix", "text", "expected"),
    [
        ("<|channel|>analysis<|message|>", "hm<|end|>", Read(reasoning="hm")),
        ("<|channel|>analysis<|message|>So", " hm", Read(reasoning=" hm")),
        ("<|channel|>", "final<|message|>Hi", Read(content="Hi")),
        ("<|channel|>final<|message|>Hi, ", "you", Read(content="you")),
        ("<|channel|>analysis<|message|>hm<|end|>", NEXT + FINAL + "Hi", Read(content="Hi")),
        (
            "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
            "{}",
            Read(calls=[["f", "{}"]], ended=[True]),
        ),
        (" to=functions.f", "<|message|>{}", Read(calls=[["f", "{}"]], ended=[True])),
    ],
)
def test_a_message_that_the_prompt_began(suffix: str, text: str, expected: Read) -> None:
    assert read_every_way(partial(gpt_oss, prompt_end=PROMPT + suffix), text) == expected


def test_code_is_the_parameter_that_takes_it() -> None:
    text = '<|channel|>commentary to=run code<|message|>print("é\\n")\n<|call|>'
    arguments = '{"code": "print(\\"é\\\\n\\")\\n"}'
    assert read_every_way(gpt_oss, text) == Read(calls=[["run", arguments]], ended=[True])


def test_a_tool_of_its_own_is_called_by_its_name() -> None:
    text = '<|channel|>analysis to=browser.search<|message|>{"query": "x"}<|call|>'
    expected = Read(calls=[["browser.search", '{"query": "x"}']], ended=[True])
    assert read_every_way(gpt_oss, text) == expected


def test_without_tools_a_message_to_one_is_dropped() -> None:
    text = f"{ANALYSIS}hm<|end|>{NEXT} to=container.exec<|channel|>commentary<|message|>ls<|call|>"
    make = partial(gpt_oss, tools=False)
    assert read_every_way(make, text) == Read(reasoning="hm", malformed=1)


def test_a_call_without_arguments() -> None:
    text = "<|channel|>commentary to=functions.f<|message|><|call|>"
    assert read_every_way(gpt_oss, text) == Read(calls=[["f", "{}"]], ended=[True])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1', Read(calls=[["f", '{"a": 1']], ended=[False], malformed=1)),
        ('{"a": 1<|call|>', Read(calls=[["f", '{"a": 1']], ended=[False], malformed=1)),
        ('{"a": ]} x<|call|>', Read("]} x", "", [["f", '{"a": ']], [False], 1)),
        ("{'a': 1}<|call|>", Read(calls=[["f", "{'a': 1}"]], ended=[False], malformed=1)),
        ("{}} <|call|>", Read("}", "", [["f", "{}"]], [True])),
    ],
)
def test_arguments_that_are_not_json(arguments: str, expected: Read) -> None:
    text = f"<|channel|>commentary to=functions.f<|message|>{arguments}"
    assert read_every_way(gpt_oss, text) == expected


def test_code_for_a_tool_that_takes_none_is_text() -> None:
    two = Tool("f", parameters={"properties": {"a": {}, "b": {}}})
    make = partial(GPT_OSS.make_parser, (two,), thinks=True)
    text = f"<|channel|>commentary to=functions.f<|message|>ls -l<|call|>{FINAL}ok"
    assert read_every_way(make, text) == Read("ls -lok", "", [["f", ""]], [False], 1)


@pytest.mark.parametrize(
    ("text", "malformed"),
    [("<|channel|>anal", 0), ("<|start|>assistant", 0), ("<|channel|>commentary to=functions.", 1)],
)
def test_a_header_that_was_cut_says_nothing(text: str, malformed: int) -> None:
    assert read_every_way(gpt_oss, text) == Read(malformed=malformed)


def test_stray_markers_are_dropped() -> None:
    text = f"<|end|>{NEXT}{NEXT}{FINAL}ok<|end|> then <|end|>{ANALYSIS[:-11]}<|end|>"
    assert read_every_way(gpt_oss, text) == Read(content="ok then")


def test_reasoning_is_known_as_such() -> None:
    parser = gpt_oss()
    seen: list[bool] = []
    for piece in ("<|channel|>", "analysis", "<|message|>", "hm", "<|end|>", NEXT, FINAL, "x"):
        parser.feed(piece)
        seen.append(parser.is_reasoning)
    assert seen == [False, False, True, True, False, False, False, False]
    assert gpt_oss(prompt_end=PROMPT + ANALYSIS).is_reasoning


def test_parts_are_told_as_they_come() -> None:
    parser = gpt_oss()
    assert parser.feed(ANALYSIS + "so") == [Reasoning("so", 32)]
    assert parser.feed(f"<|end|>{NEXT}<|channel|>commentary to=functions.f<|message|>") == [
        CallStart("f")
    ]
    assert parser.feed('{"a": "b') == [CallArguments('{"a": "b')]
    assert parser.feed('"}<|call|>') == [CallArguments('"}'), CallEnd()]
    assert parser.feed(f"{FINAL}a <|x") == [Text("a <|x", 154)]


def test_every_cut_keeps_what_was_told() -> None:
    read_cut_off(gpt_oss, f"{ANALYSIS}hm\n<|end|>{NEXT}{CALL}{NEXT}{FINAL}Hello\n<|return|>")


_PIECES = st.sampled_from(
    [
        *("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|constrain|>"),
        *("assistant", "analysis", "commentary", "final", " to=functions.f", " to=run"),
        *('{"a": ', '"b"', "}", "[", " ", "\n", "text", "<|", '"', "\\"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(gpt_oss, *pieces) == read(gpt_oss, text) == read(gpt_oss, *text)
