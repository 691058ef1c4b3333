"""The text that a custom tool is given obeys its grammar, however calls are spelled."""

import json
import re
from typing import Any

import pytest

from app.api.openai.responses.schemas import Tool as WireTool
from app.api.openai.responses.tools import decode_tools
from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import WritesCalls
from app.core.errors import InvalidGrammar
from app.core.messages import Tool
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model
from tests.llama.test_tool_calls import HEADERS, HERMES, SPOKEN, draw, offer
from tests.unit.chat.reading import read

PATCH = """
start: begin hunk ~ 1..3 end
begin: "*** Begin Patch" LF
end: "*** End Patch" LF?
hunk: "*** Add File: " /(.{1,20})/ LF added{1,3} -> add
    | "*** Delete File: " /(.{1,20})/ LF -> delete
added: "+" /(.{0,20})/ LF
%import common.LF
"""
IN_PYTHON = (
    r"\*\*\* Begin Patch\n"
    r"(\*\*\* Add File: .+\n(\+.*\n)+|\*\*\* Delete File: .+\n)+"
    r"\*\*\* End Patch\n?"
)
SUM = """
// numbers that are added
start: NUMBER (PLUS NUMBER){0,3} [";"]
PLUS: "+" | "PLUS"i
NUMBER: /[0-9]{1,3}/ | "a".."c"
%ignore " "
"""
# in bounds, for in some formats nothing shows a random text where to end
GRAMMARS = [
    ("regex", r'^(GO|STAY) [a-z"\\\n<>&]{1,12}$', r'(GO|STAY) [a-z"\\\n<>&]{1,12}'),
    ("regex", "a/b|[^a]{2}", "a/b|[^a]{2}"),
    ("lark", PATCH, IN_PYTHON),
    ("lark", SUM, r" *([0-9]{1,3}|[a-c]) *((\+|(?i:plus)) *([0-9]{1,3}|[a-c]) *)*;? *"),
]


def custom(syntax: str, definition: str) -> tuple[Tool, ...]:
    given = {"type": "grammar", "syntax": syntax, "definition": definition}
    wire = [{"type": "custom", "name": "set", "format": given}, {"type": "function", "name": "f"}]
    return decode_tools([WireTool.model_validate(one) for one in wire]).tools


def texts(spoken: ChatFormat, tools: tuple[Tool, ...], said: str) -> list[str]:
    heard = read(lambda: spoken.make_parser(tools, thinks=False), said)
    assert heard.malformed == 0, said
    given: list[dict[str, Any]] = [json.loads(arguments) for _, arguments, *_ in heard.calls]
    return [one["input"] for one in given]


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
@pytest.mark.parametrize(("syntax", "definition", "expected"), GRAMMARS)
def test_a_demanded_call_obeys(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    spoken: ChatFormat,
    syntax: str,
    definition: str,
    expected: str,
) -> None:
    tools = custom(syntax, definition)
    for seed in range(3):
        frame = Frame(calls=offer(spoken, tools[:1], must=True, many=False))
        said = draw(compiler.compile(None, frame), builtin_model, seed)
        (text,) = texts(spoken, tools, said)
        assert re.fullmatch(expected, text), said


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
def test_a_call_that_was_opened_in_free_text_obeys(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat
) -> None:
    assert isinstance(spoken.calls, WritesCalls)
    tools = custom("lark", PATCH)
    openers = [one for one in spoken.calls.openers.texts if one != "<|python_tag|>"]
    header = HEADERS.get(spoken.name, "")
    for seed, opener in enumerate(openers * 2):
        constraint = compiler.compile(None, Frame(calls=offer(spoken, tools[:1], many=False)))
        said = f"So.\n{header}{opener}"
        for token in builtin_model.vocabulary.tokenize(said, add_special=False, parse_special=True):
            constraint.accept(token)
        said += draw(constraint, builtin_model, seed)
        (text,) = texts(spoken, tools, said)
        assert re.fullmatch(IN_PYTHON, text), said


@pytest.mark.parametrize(
    ("syntax", "definition", "why"),
    [
        ("regex", "(?=a)b", "look-ahead"),
        ("regex", "[b-a]", "range"),
        ("regex", "*", "repetition"),
        ("regex", "a)|(b", "brackets"),
        ("regex", "[" * 16_000, "brackets"),
        ("lark", 'start: "a" /[b-a]/', "range"),
        ("lark", 'start: "(" start? ")"', "stands in itself"),
        ("lark", "nothing", "line 1 is no definition"),
    ],
)
def test_what_cannot_be_compiled_is_refused(
    compiler: ConstraintCompiler, syntax: str, definition: str, why: str
) -> None:
    with pytest.raises(InvalidGrammar, match=why) as refused:
        compiler.compile(None, Frame(calls=offer(HERMES, custom(syntax, definition))))
    assert refused.value.param == "tools[0].format.definition"
