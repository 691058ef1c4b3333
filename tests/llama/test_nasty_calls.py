"""Whatever a model says, its calls are valid, also where the schemas are nasty and the text is made
of markup: a real validator judges what the parsers read."""

import json
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.nested_xml import MINIMAX_M3
from app.core.messages import Tool
from app.engine.constraint import ConstraintCompiler, Frame, TokenConstraint
from app.llama.model import Model
from tests.llama.nasty_schemas import SCHEMAS
from tests.llama.test_tool_calls import HEADERS, SPOKEN, offer
from tests.unit.chat.reading import read

TOOLS = tuple(Tool(f"f{at}", parameters=schema) for at, schema in enumerate(SCHEMAS.values()))
# what a value may look like, beside a format's own markup
SNIPPETS = (
    *(
        '"',
        "\\",
        "{",
        "[",
        "]",
        "}",
        ",",
        ":",
        "=",
        "'",
        '"""',
        "<",
        ">",
        "()",
        "**",
        "/",
        "@",
        "-",
    ),
    *("null", "None", "true", "False", "12", "1.0", "-3e5", "2.5", "5", "0", "red", "x", "a", "b"),
    *("\n", " ", "é", "😀", "</item>", "\n<parameter=n>\n", "<![CDATA[", "]]>", '<|"|>'),
    *("</parameter>\n</function>", "</function>\n</tool_call>"),
)
_HURRY, _MOST = 120, 1200  # steps
SEEDS = 6

JUDGES = {
    tool.name: Draft202012Validator(tool.parameters or {}, format_checker=FormatChecker())
    for tool in TOOLS
}


def find_faults(name: str, arguments: str) -> list[str]:
    """What is wrong with a call's arguments, under its tool's schema."""
    told = JUDGES[name].iter_errors(json.loads(arguments))  # pyright: ignore[reportUnknownMemberType]
    return [f"{list(error.path)}: {error.message[:200]}" for error in told]


class _Writer:
    """Says what it may: random tokens and pieces of markup, and later on rather what ends
    something."""

    def __init__(self, spoken: ChatFormat, model: Model, seed: int) -> None:
        self._vocabulary = model.vocabulary
        self._random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        known = (*spoken.markers(has_tools=True), *spoken.calls.markers)
        markers = [one for one in dict.fromkeys(known) if one]
        self._pieces = [*SNIPPETS, *markers, *(f"\n{one}" for one in markers)]
        begins = (*spoken.calls.openers.texts, *("begin", "open", "prefix", "<|start|>"))
        closers = [one for one in markers if not any(begin in one for begin in begins)]
        mark = MINIMAX_M3.calls.markers[0]
        if mark in markers:
            names = {
                name for tool in TOOLS for name in (tool.parameters or {}).get("properties", {})
            }
            names |= {*"xkzqyv", "kind", "item", "invoke", "name", "code"}
            closers = [f"{mark}</{name}>" for name in sorted(names)]
        self._closers = [*closers, *(f"\n{one}" for one in closers), *'"]})', '<|"|>']
        self._text = b""
        self.is_over = True  # or else it had more to say than anybody wants to hear

    def write(self, constraint: TokenConstraint) -> str:
        ends = list(self._vocabulary.end_tokens)
        for step in range(_MOST):
            if constraint.is_complete:
                return self._text.decode()
            is_late = step > _HURRY
            if is_late and any(map(constraint.allows, ends)):
                return self._text.decode()
            if self._random.random() < (0.7 if is_late else 0.4):
                self._say(constraint, self._closers if is_late else self._pieces)
                continue
            row = self._numbers.normal(size=self._vocabulary.size).astype(np.float32)
            constraint.mask(row)
            token = int(row.argmax())
            constraint.accept(token)
            if token in ends:
                return self._text.decode()
            self._text += self._vocabulary.piece(token, special=True)
        self.is_over = False
        return self._text.decode(errors="ignore")

    def _say(self, constraint: TokenConstraint, pieces: list[str]) -> None:
        piece, is_special = self._random.choice(pieces), self._random.random() < 0.7
        for token in self._vocabulary.tokenize(piece, add_special=False, parse_special=is_special):
            is_end = token in self._vocabulary.end_tokens
            if constraint.is_complete or is_end or not constraint.allows(token):
                return
            constraint.accept(token)
            self._text += self._vocabulary.piece(token, special=True)


def check(spoken: ChatFormat, said: str, *, is_over: bool) -> int:
    """The number of calls. They must be valid, and the same however the text arrives."""

    def make() -> Any:
        return spoken.make_parser(TOOLS, thinks=False)

    heard = read(make, said)
    cut = random.Random(len(said))
    for count in (1, 9):
        cuts = sorted(cut.randrange(len(said) + 1) for _ in range(count))
        assert read(make, *(said[a:b] for a, b in pairwise([0, *cuts, len(said)]))) == heard, said
    assert read(make, *said) == heard, said
    assert heard.malformed == 0 or not is_over, (heard, said)
    for (name, arguments, *_), is_whole in zip(heard.calls, heard.ended, strict=True):
        assert is_whole or not is_over, said
        if not is_whole:
            break
        assert find_faults(name, arguments) == [], (name, said)
    return len(heard.calls)


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
def test_demanded_calls(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat
) -> None:
    for seed in range(SEEDS):
        frame = Frame(calls=offer(spoken, TOOLS, must=True))
        writer = _Writer(spoken, builtin_model, seed)
        said = writer.write(compiler.compile(None, frame))
        assert check(spoken, said, is_over=writer.is_over), said


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
def test_calls_that_were_opened(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat
) -> None:
    header = HEADERS.get(spoken.name, "")
    # code for a tool named python goes on to the end of the answer
    openers = [one for one in spoken.calls.openers.texts if one != "<|python_tag|>"]
    if spoken.held is not None:
        openers += [f"[{TOOLS[seed].name}(" for seed in range(4, 8)]
        openers += [f'{{"name": "{TOOLS[seed].name}", "parameters":' for seed in range(8, 12)]
    for seed in range(SEEDS):
        opener = openers[seed % len(openers)]
        start = f"Let me see.\n{header}{opener}"
        constraint = compiler.compile(None, Frame(calls=offer(spoken, TOOLS, many=False)))
        for token in builtin_model.vocabulary.tokenize(
            start, add_special=False, parse_special=True
        ):
            assert constraint.allows(token), start
            constraint.accept(token)
        writer = _Writer(spoken, builtin_model, seed)
        said = start + writer.write(constraint)
        count = check(spoken, said, is_over=writer.is_over)
        # arguments without names are no call
        assert count == 1 or (not count and opener.startswith("[f")), said
