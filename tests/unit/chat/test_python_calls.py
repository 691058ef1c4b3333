"""Reading calls that are Python, and calls without markers."""

import ast
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.registry import find_format
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser, Text
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

TOOLS = (Tool("f"), Tool("g.h"))
OPEN, CLOSE = "<|tool_call_start|>", "<|tool_call_end|>"


def lfm2(*, prompt_end: str = "") -> StreamParser:
    return find_format("", "lfm2").make_parser(TOOLS, thinks=True, prompt_end=prompt_end)


def llama() -> StreamParser:
    return find_format("", "llama-3").make_parser(TOOLS, thinks=False)


def llama_4() -> StreamParser:
    return find_format("", "llama-4").make_parser(TOOLS, thinks=False)


def value_of(literal: str) -> Any:
    result = read_every_way(lfm2, f"{OPEN}[f(a={literal}, b=1)]{CLOSE}")
    assert result.ended == [True], result
    return json.loads(result.calls[0][1])["a"]


def test_a_list_of_calls() -> None:
    text = f'I look. {OPEN}[f(a=1, b="x"), g.h()]{CLOSE}\nDone.'
    expected = Read(
        content="I look. Done.",
        calls=[["f", '{"a": 1, "b": "x"}'], ["g.h", "{}"]],
        ended=[True] * 2,
    )
    assert read_every_way(lfm2, text) == expected
    read_cut_off(lfm2, text)


@pytest.mark.parametrize(
    "text",
    [
        f"{OPEN}[f(a=1)]{CLOSE}",
        f"{OPEN}\n[ f ( a = 1 , ) , ]\n{CLOSE}".replace("f (", "f("),
        f"{OPEN}f(a=1){CLOSE}",
        f"{OPEN}[f(a=1)]",
        f"{OPEN}[f(a=1)]<|tool_",
        f'{OPEN}[{{"name": "f", "arguments": {{"a": 1}}}}]{CLOSE}',
        f'<think>hm {OPEN}[f(a=2)]{CLOSE}</think>{OPEN}{{"name": "f", "arguments": {{"a": 1}}}}',
    ],
)
def test_the_forms_of_a_call(text: str) -> None:
    result = read_every_way(lfm2, text)
    assert (result.calls, result.content, result.malformed) == ([["f", '{"a": 1}']], "", 0)


@pytest.mark.parametrize(
    "literal",
    [
        *("1", "-1.5e3", "0x1f", "1_000", ".5", "True", "None", "''", '""', "[]", "{}", "()"),
        *(
            "'a'",
            '"it\'s"',
            "'a \"b\" c'",
            r"'\'\"\\ \n\t\x41\u00fc\U0001f600 \0'",
            "'ü 😀\x7f'",
        ),
        *('"""a "b" \'c\'\nd"""', "'''it's'''", "[1, 'a', [True, {'b': None}], (2, 3,)]"),
        "{'a': {'b': [1, 2, {}]}, \"c\": 'd', 'e': (), }",
        "'<|tool_call_end|>'",
        "'a\\\nb'",
    ],
)
def test_python_literals(literal: str) -> None:
    assert value_of(literal) == json.loads(json.dumps(ast.literal_eval(literal)))


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("true", True),
        ("null", None),
        ('{"a": [true, false, null]}', {"a": [True, False, None]}),
        (r'"\ud83d\ude00"', "😀"),
        ("{1: 'a', True: 'b', c: 'd'}", {"1": "a", "true": "b", "c": "d"}),
        ("celsius", "celsius"),
        ("nan", "nan"),
        (r'"\d+ \08"', "\\d+ \x008"),
        # templates write strings into quotes as they are
        ("'It's me'", "It's me"),
        ("'a\nb'", "a\nb"),
        (r'"\x4g \u12 \Uffffffff"', r"\x4g \u12 \Uffffffff"),
    ],
)
def test_what_else_models_write_for_values(literal: str, value: Any) -> None:
    assert value_of(literal) == value


@pytest.mark.parametrize(
    ("text", "content", "arguments"),
    [
        (f"{OPEN}[f(a=1] x", "] x", '{"a": 1'),
        (f"{OPEN}[f(a=)]", ")]", '{"a": '),
        (f"{OPEN}[f(a=g(1))]", "(1))]", '{"a": "g"'),
        (f"{OPEN}[f(a={{'b': 1, 2}})]", "})]", '{"a": {"b": 1, "2"'),
        (f"{OPEN}[f(a='b", "", '{"a": "b'),
        (f"{OPEN}[f(a={'[' * 66}", "[", '{"a": ' + "[" * 65),
    ],
)
def test_a_call_that_breaks_keeps_what_was_told(text: str, content: str, arguments: str) -> None:
    expected = Read(content=content, calls=[["f", arguments]], ended=[False], malformed=1)
    assert read_every_way(lfm2, text) == expected


@pytest.mark.parametrize("body", ["", "text", "[f", "[f]", "[(a=1)]", "[5]", "[[f()]]"])
def test_what_is_no_call_stays_text(body: str) -> None:
    text = f"a {OPEN}{body} b"
    assert read_every_way(lfm2, text) == Read(content=text, malformed=1)


def test_markdown_is_text() -> None:
    text = "Use [link text](url), such as [Wikipedia](https://w.org), <|tool_call_ and [f(a=1)]."
    assert read_every_way(lfm2, text) == Read(content=text)


def test_arguments_stream() -> None:
    parser = lfm2()
    assert parser.feed(f"{OPEN}[f(a=") == [CallStart("f"), CallArguments('{"a": ')]
    assert parser.feed("'one ") == [CallArguments('"one ')]
    assert parser.feed("two', b=[1") == [CallArguments('two", "b": [')]
    assert parser.feed(", 'x") == [CallArguments('1, "x')]
    assert parser.feed("'])") == [CallArguments('"]}'), CallEnd()]


# --- calls without markers


@pytest.mark.parametrize(
    ("text", "content", "arguments"),
    [
        ('{"name": "f", "parameters": {"a": 1}}', "", ['{"a": 1}']),
        ('{"type": "function", "name": "f", "arguments": {"a": 1}}', "", ['{"a": 1}']),
        ('{"type": "function", "function": {"name": "f", "parameters": {}}}', "", ["{}"]),
        ('Look: {"name": "f", "parameters": "{\\"a\\": 1}"} Good?', "Look: Good?", ['{"a": 1}']),
        ('[{"name": "f", "parameters": {}}, {"name": "f", "parameters": {}}]', "", ["{}", "{}"]),
        ('{"name": "f", "parameters": {}};\n{"name": "f", "parameters": {}};', "", ["{}", "{}"]),
        ('{{"name": "f", "parameters": {}}', "{", ["{}"]),
        ('<|python_tag|>{"name": "f", "parameters": {"a": 1}}', "", ['{"a": 1}']),
        ('<|python_tag|>f.call(query="x")', "", ['{"query": "x"}']),
        ("[f(a=1), f()]", "", ['{"a": 1}', "{}"]),
    ],
)
def test_bare_calls(text: str, content: str, arguments: list[str]) -> None:
    result = read_every_way(llama, text)
    calls = [["f", one] for one in arguments]
    assert result == Read(content=content, calls=calls, ended=[True] * len(calls))
    read_cut_off(llama, text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "unknown", "parameters": {}}',
        '{"name": "f"}',
        '{"name": "f", "age": 3}',
        '{"parameters": {}, "name": "f"}',
        '{"answer": {"type": "object"}}',
        '{"name": "f", "para',
        '{"name": ["f"], "parameters": {}}',
        "if (a[f] && b[0]) { return {x: [1, 2]} }",
        "[f, g.h] and [unknown(a=1)] and [f",
        "{}[]{ [ {",
    ],
)
def test_what_only_looks_like_a_bare_call_is_text_and_nothing_malformed(text: str) -> None:
    assert read_every_way(llama, text) == Read(content=text)


def test_behind_a_marker_any_name_is_a_call() -> None:
    text = '<|python_tag|>{"name": "unknown", "parameters": {}}'
    assert read_every_way(llama, text) == Read(calls=[["unknown", "{}"]], ended=[True])


def test_a_bare_call_starts_with_its_arguments() -> None:
    parser = llama()
    assert parser.feed('Ok. {"name": "f"') == [Text("Ok.", 3)]
    assert parser.feed(', "parameters":') == []
    assert parser.feed(' {"a') == [CallStart("f"), CallArguments('{"a')]


def test_json_that_is_no_call_is_not_held_back() -> None:
    parser = llama()
    assert parser.feed('{"answer": "lo') == [Text('{"answer": "lo', 14)]


@pytest.mark.parametrize("text", ["<|python_start|>[f(a=1)]<|python_end|>", "[f(a=1)]"])
def test_llama_4(text: str) -> None:
    assert read_every_way(llama_4, text) == Read(calls=[["f", '{"a": 1}']], ended=[True])


def test_olmo_3_writes_a_call_a_line() -> None:
    make = partial(find_format("", "olmo3").make_parser, TOOLS, thinks=False)
    text = "<function_calls>\nf(a=1)\ng.h()\n</function_calls>"
    expected = Read(calls=[["f", '{"a": 1}'], ["g.h", "{}"]], ended=[True, True])
    assert read_every_way(make, text) == expected


_PIECES = [
    *(OPEN, CLOSE, "<|python_tag|>", "[", "]", "f(", "g.h(", "a=", "b = ", ")", ", ", "'", '"'),
    *(
        '"""',
        "\\",
        "\\u00",
        "{",
        "}",
        ": ",
        "1",
        "-.5",
        "True",
        "x",
        " ",
        "\n",
        "<think>",
        "(",
        "=",
    ),
    *('{"name": "f"', ', "parameters": ', "{}", ";", "</think>", "\\'", "ü"),
]


@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("make", [lfm2, llama, llama_4])
@given(data=st.data())
def test_any_text_reads_the_same_however_it_is_cut(make: Any, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(["", OPEN, f"{OPEN}[f(a=", "[f(a=", "<|python_start|>[f("]))
    text = start + "".join(data.draw(st.lists(st.sampled_from(_PIECES), max_size=14)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = read(make, text)
    assert read(make, *cut) == whole == read(make, *text)
    assert not any(whole.ended) or whole.calls


_LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), _LITERALS, max_size=3))
def test_what_python_prints_is_read_back(arguments: dict[str, Any]) -> None:
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    result = read(lfm2, f"{OPEN}[f({text})]{CLOSE}")
    assert (result.ended, json.loads(result.calls[0][1])) == ([True], arguments)


@pytest.mark.parametrize("name", ["pythonic", "llama-3", "llama-4"])
@pytest.mark.parametrize("space", ["\u3000", "\u00a0", "\u2028", " \u3000\n"])
def test_any_white_space_may_stand_before_what_looks_like_a_call(name: str, space: str) -> None:
    spoken = find_format("", name)
    for text in (
        f"{space}[x",
        f"Yes.{space}{{",
        f"{space}[f(a=1)]",
        f'Yes.{{"name": "f", "parameters": {{}}}}{space} x',
    ):
        read_every_way(lambda: spoken.make_parser((Tool("f"),), thinks=False), text)


@pytest.mark.parametrize("call", ["[f(1)]", '[f("x", a=1)]', "print(1)", "[f(a)]", "[f(g.h())]"])
def test_what_has_arguments_without_names_is_no_call(call: str) -> None:
    result = read_every_way(lfm2, f"Look: {OPEN}{call}{CLOSE}")
    assert (result.content, result.calls) == (f"Look: {OPEN}{call}{CLOSE}", [])
    assert result.malformed == 1
