"""Calls whose parameters are bare text between tags."""

import json
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.tagged_parameters import (
    DEEPSEEK_V3_2,
    DEEPSEEK_V4,
    KIMI_K3,
    MINICPM5,
    MINIMAX_M2,
    QWEN3_CODER,
    SEED_OSS,
)
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

PROPERTIES = {
    "s": {"type": "string"},
    "n": {"type": "integer"},
    "x": {"type": ["number", "null"]},
    "b": {"type": "boolean"},
    "list": {"type": "array"},
    "o": {"type": "object"},
}
TOOLS = (Tool("f", parameters={"type": "object", "properties": PROPERTIES}), Tool("g"))


def make(form: ChatFormat, *, prompt_end: str = "") -> StreamParser:
    return form.make_parser(TOOLS, thinks=True, prompt_end=prompt_end)


qwen = partial(make, QWEN3_CODER)


def call(*parameters: tuple[str, str], name: str = "f") -> str:
    """As the template of Qwen3-Coder writes it."""
    written = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters)
    return f"<tool_call>\n<function={name}>\n{written}</function>\n</tool_call>"


def arguments(result: Read) -> list[Any]:
    assert all(result.ended)
    assert not result.malformed
    return [json.loads(call[1]) for call in result.calls]


def test_a_call_with_values_of_all_types() -> None:
    text = call(
        ("s", "1"),
        ("n", "42"),
        ("x", "-1.5e3"),
        ("b", "true"),
        ("list", '[1, "</parameter>", {"a": null}]'),
        ("o", '{"k": "v"}'),
        ("unknown", "[true]"),
        ("free", "text"),
    )
    expected = (
        '{"s":"1","n":42,"x":-1.5e3,"b":true,"list":[1, "</parameter>", {"a": null}],'
        '"o":{"k": "v"},"unknown":[true],"free":"text"}'
    )
    result = read_every_way(qwen, f"I look.\n\n{text}")
    assert result == Read(content="I look.", calls=[["f", expected]], ended=[True])


def test_values_as_python_prints_them() -> None:
    text = call(("b", "True"), ("x", "None"), ("o", "{'a': [1, False]}"))
    assert arguments(read_every_way(qwen, text)) == [{"b": True, "x": None, "o": {"a": [1, False]}}]


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\n",
        "\n\n  indented\n",
        "two\nlines",
        'quotes " and \\ and \t',
        "a < b <param </parameter <function=",
        "日本語 é 😀 \x7f",
        "<html>\n <b>x</b>\n</html>",
        "say </parameter> twice </parameter>",
        "a\n</parameter>\nb",
        "<parameter=s>\nx",
        "x\n<parameter=zzz>\n1",
        "</function>",
        "</tool_call> text",
        "<tool_call>",
    ],
)
def test_a_string_is_kept_to_the_letter(value: str) -> None:
    text = call(("s", value), ("n", "1"))
    assert arguments(read_every_way(qwen, text)) == [{"s": value, "n": 1}]


def test_only_the_newlines_of_the_format_are_removed() -> None:
    text = "<tool_call><function=f><parameter=s>a\n</parameter></function></tool_call>"
    assert arguments(read_every_way(qwen, text)) == [{"s": "a"}]
    text = text.replace("tool_call", "seed:tool_call")
    assert arguments(read_every_way(partial(make, SEED_OSS), text)) == [{"s": "a\n"}]


def test_parallel_calls_and_text_between_them() -> None:
    text = f"{call()}\n{call(('s', 'x'))}\nand\n{call(('n', '1'), name='g')}\n"
    result = read_every_way(qwen, text)
    assert arguments(result) == [{}, {"s": "x"}, {"n": 1}]
    assert [name for name, _ in result.calls] == ["f", "f", "g"]
    assert result.content == "and"


def test_several_functions_in_one_block() -> None:
    text = "<tool_call><function=f></function>\n<function=g>\n</function></tool_call>"
    assert read_every_way(qwen, text).calls == [["f", "{}"], ["g", "{}"]]


def test_a_call_without_its_block_counts_for_a_tool_that_is_there() -> None:
    text = "Well.\n<function=f>\n<parameter=n>\n1\n</parameter>\n</function>\n</tool_call>"
    result = read_every_way(qwen, text)
    assert arguments(result) == [{"n": 1}]
    assert result.content == "Well."
    text = "Write <function=name> to call."
    assert read_every_way(qwen, text) == Read(content=text, malformed=1)


def test_a_block_keeps_any_name() -> None:
    assert read_every_way(qwen, call(name="no_tool")).calls == [["no_tool", "{}"]]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "Use <tool_call> for this.",
        '<tool_call>{"n": "f"}</tool_call>',
        "<tool_call><function=></function></tool_call>",
        "<tool_call>\n<function=f\n<parameter=s>1</parameter>",
        "<tool_call>\n<func",
        "a <function",
    ],
)
def test_what_is_not_a_call_stays_text(text: str) -> None:
    assert read_every_way(qwen, text).content == text


def test_a_call_that_breaks_keeps_what_was_told() -> None:
    text = "<tool_call><function=f><parameter=s>a</parameter> oops </function></tool_call>"
    result = read_every_way(qwen, text)
    assert result.calls == [["f", '{"s":"a</parameter> oops </function></tool_call>']]
    assert (result.ended, result.malformed) == ([False], 1)
    result = read_every_way(qwen, "<tool_call><function=f> oops</function>")
    assert result == Read("oops</function>", calls=[["f", ""]], ended=[False], malformed=1)


def test_text_after_a_broken_second_call_is_not_lost() -> None:
    text = "<tool_call><function=f></function><function=\n</tool_call>"
    result = read_every_way(qwen, text)
    assert result.content.strip() == "<function=\n</tool_call>"
    assert (result.calls, result.malformed) == ([["f", "{}"]], 1)


@pytest.mark.parametrize("left", ["</function>\n</tool_call>", "</function>", "</func", "</"])
def test_a_whole_call_needs_no_closing_tags_at_the_end(left: str) -> None:
    text = call(("s", "a")).removesuffix("</function>\n</tool_call>") + left
    assert arguments(read_every_way(qwen, text)) == [{"s": "a"}]


def test_a_call_that_forgot_to_close_its_function() -> None:
    text = call(("s", "a")).replace("</function>\n", "") + "\nDone."
    result = read_every_way(qwen, text)
    assert (arguments(result), result.content) == ([{"s": "a"}], "Done.")


def test_a_value_that_forgot_its_closing_tag() -> None:
    """It ends where a parameter of the tool begins that was not given yet, or the call ends."""
    text = call(("s", "a\nb"), ("n", "1"), ("b", "true")).replace("\n</parameter>", "")
    assert arguments(read_every_way(qwen, text)) == [{"s": "a\nb", "n": 1, "b": True}]


def test_closing_tags_that_come_twice() -> None:
    result = read_every_way(qwen, f"{call()}\n</function>\n</tool_call>\nDone.")
    assert result == Read("Done.", calls=[["f", "{}"]], ended=[True])


def test_a_thought_that_was_left_out_may_be_closed() -> None:
    assert read_every_way(qwen, "\n</think>\n\nYes </think>") == Read("Yes </think>")


def test_a_call_is_not_thought() -> None:
    parser = make(QWEN3_CODER, prompt_end="<think>\n")
    parser.feed("Well <tool_call><function=f>")
    assert not parser.is_reasoning


def test_a_call_is_told_as_it_comes() -> None:
    parser = make(QWEN3_CODER, prompt_end="<think>\n\n</think>\n\n")
    assert parser.feed("<tool_call>\n<function=f") == []
    assert parser.feed(">\n") == [CallStart("f")]
    assert parser.feed("<parameter=s>\nab") == [CallArguments('{"s":"ab')]
    assert parser.feed("\n") == []
    assert parser.feed('"c') == [CallArguments('\\n\\"c')]
    assert parser.feed("\n</parameter>\n<") == []
    assert parser.feed("parameter=n>\n12") == [CallArguments('","n":')]
    assert parser.feed("\n</parameter>\n</function>") == [CallArguments("12}"), CallEnd()]


def dsml(block: str) -> str:
    """As the templates of DeepSeek write it."""
    text = f"""<{block}>
<invoke name="f">
<parameter name="s" string="true">a
</parameter>
<parameter name="n" string="false">1</parameter>
</invoke>
</{block}>"""
    return "<think>hm</think>Look.\n\n" + re.sub("<(/?)", r"<\1｜DSML｜", text)


SEED_TEXT = """
<seed:think>hm</seed:think>
Look.
<seed:tool_call>
<function=f>
<parameter=s>a
</parameter>
<parameter=n>1</parameter>
</function>
</seed:tool_call>"""

MINIMAX_TEXT = """<think>
hm
</think>

Look.
<minimax:tool_call>
<invoke name="f">
<parameter name="s">a
</parameter>
<parameter name="n">1</parameter>
</invoke>
</minimax:tool_call>"""

MINICPM_TEXT = """<think>
hm
</think>

Look.
<function name="f"><param name="s"><![CDATA[a
]]></param><param name="n">1</param></function>"""

KIMI_TEXT = re.sub(
    "{(/?)(.+?)}",
    lambda tag: f"<|{'close' if tag[1] else 'open'}|>{tag[2]}<|sep|>",
    """{think}hm{/think}{response}Look.{/response}{tools}{call tool="f" index="1"}\
{argument key="s" type="string"}a
{/argument}{argument key="n" type="number"}1{/argument}{/call}{/tools}{/message}""",
)

SAMPLES = [
    (SEED_OSS, SEED_TEXT),
    (MINIMAX_M2, MINIMAX_TEXT),
    (DEEPSEEK_V3_2, dsml("function_calls")),
    (DEEPSEEK_V4, dsml("tool_calls")),
    (MINICPM5, MINICPM_TEXT),
    (KIMI_K3, KIMI_TEXT),
]


@pytest.mark.parametrize(("form", "text"), SAMPLES, ids=[form.name for form, _ in SAMPLES])
def test_every_family(form: ChatFormat, text: str) -> None:
    result = read_every_way(partial(make, form), text)
    assert result == Read("Look.", "hm", calls=[["f", '{"s":"a\\n","n":1}']], ended=[True])
    read_cut_off(partial(make, form), text)
    assert all(tag in text for tag in form.calls.markers if tag not in {"<![CDATA[", "]]>"})


@pytest.mark.parametrize("told", ["s", "n"])
def test_a_schema_counts_more_than_an_attribute_that_tells_the_type(told: str) -> None:
    text = SAMPLES[3][1].replace("a\n", "null")
    if told == "n":
        text = text.replace('"n" string="false"', '"n" string="true"')
    else:
        text = text.replace('"s" string="true"', '"s" string="false"')
    assert arguments(read(partial(make, DEEPSEEK_V4), text)) == [{"s": "null", "n": 1}]


def test_cdata_holds_look_alikes_and_is_taken_off_once() -> None:
    value = "</param></function><![CDATA[x]]> & ]]"
    text = f'<function name="f"><param name="s"><![CDATA[{value}]]></param></function>'
    assert arguments(read_every_way(partial(make, MINICPM5), text)) == [{"s": value}]


def test_cut_off_anywhere() -> None:
    read_cut_off(qwen, f"<think>a</think>b {call(('s', 'é</p>'), ('o', '{}'))}\n{call()}")


_PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<function=f>", "<function=zz>", "</function>", "\n", " "),
        *(
            "<parameter=s>",
            "<parameter=n>",
            "<parameter=q>",
            "</parameter>",
            "1",
            "null",
            "x<",
            '"',
        ),
        *("<think>", "</think>", "<parameter=", "<function=", ">", "\\", "é"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=14).map("".join), st.data())
def test_any_text_reads_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(qwen, *pieces) == read(qwen, text) == read(qwen, *text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_string_comes_out_as_it_went_in(value: str) -> None:
    assert arguments(read(qwen, *call(("s", value)))) == [{"s": value}]


def test_kimi_k3_may_write_all_arguments_as_json() -> None:
    call = (
        '<|open|>call tool="f" index="1"<|sep|><|open|>json type="object"<|sep|>'
        '{"a": "x"}<|close|>json<|sep|><|close|>call<|sep|>'
    )
    other = '<|open|>call tool="f" index="2"<|sep|><|close|>call<|sep|>'
    text = f"<|open|>tools<|sep|>{call}{other}<|close|>tools<|sep|><|close|>message<|sep|>"
    result = read_every_way(partial(KIMI_K3.make_parser, (Tool("f"),), thinks=True), text)
    assert (result.content, result.calls) == ("", [["f", '{"a": "x"}'], ["f", "{}"]])
    assert result.ended == [True, True]


def test_kimi_k3_escapes_names() -> None:
    text = (
        '<|open|>tools<|sep|><|open|>call tool="a&amp;b" index="1"<|sep|>'
        '<|open|>argument key="&quot;x&quot;" type="string"<|sep|>&amp;<|close|>argument<|sep|>'
        "<|close|>call<|sep|><|close|>tools<|sep|>"
    )
    result = read_every_way(partial(KIMI_K3.make_parser, (Tool("f"),), thinks=True), text)
    assert result.calls == [["a&b", '{"\\"x\\"":"&amp;"}']]
