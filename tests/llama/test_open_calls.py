"""A model is held to a call that its prompt has begun, from the very place where that ends."""

import re
from dataclasses import replace

import numpy as np
import pytest

from app.chat.formats.chat_format import ChatFormat
from app.core.errors import InvalidConstraint
from app.core.requests import JsonObject
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model
from tests.llama.test_constraint_kinds import follow
from tests.llama.test_tool_calls import HERMES, SPOKEN, TOOLS, check_calls, draw, offer
from tests.unit.chat.reading import read

TOKEN = re.compile(r"<\|[^<>|]+\|>|</?tool_call>")


def begin(spoken: ChatFormat, prompt_end: str, *, must: bool = False, many: bool = False) -> Frame:
    open_call = spoken.find_open_call(TOOLS, prompt_end)
    calls = offer(spoken, must=must, many=many)
    return Frame(calls=replace(calls, prompt_end=prompt_end, open_call=open_call))


@pytest.mark.parametrize("must", [False, True])
@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
def test_whatever_the_logits_say_the_call_becomes_valid(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat, must: bool
) -> None:
    """A call is drawn, cut somewhere, and drawn on from there."""
    if spoken.bare is not None and not must:
        pytest.skip("without markers calls are held to their tools where they are demanded")
    if spoken.outset is not None:
        pytest.skip("calls that are messages of their own are read, and not held, once begun")
    rng = np.random.default_rng(len(spoken.name))
    for seed in range(3):
        drawn = offer(spoken, must=True, many=False)
        text = draw(compiler.compile(None, Frame(calls=drawn)), builtin_model, seed)
        opener = next(one for one in drawn.openers if text.startswith(one))
        cut = int(rng.integers(len(opener), len(opener) + (len(text) - len(opener)) // 2))
        for token in TOKEN.finditer(text):  # which nothing cuts
            cut = token.end() if token.start() < cut < token.end() else cut
        if spoken.name == "functionary-v3.2":  # until its name is whole, it is none for sure
            cut = max(cut, text.index("\n") + 1)
        begun = text[:cut] if spoken.layout is None else f"<|start|>assistant{text[:cut]}"
        constraint = compiler.compile(None, begin(spoken, begun, must=must))
        rest = draw(constraint, builtin_model, seed + 100)
        parser = spoken.make_parser(TOOLS, thinks=False, prompt_end=begun)
        said = read(lambda one=parser: one, rest)
        check_calls(said)
        assert len(said.calls) == 1, (begun, rest)


BEGUN = 'Hi <tool_call>\n{"name": "set_light", "arguments": {"room": "a", '


@pytest.mark.parametrize("must", [False, True])
@pytest.mark.parametrize("has_format", [False, True])
def test_only_what_fits_follows(
    compiler: ConstraintCompiler, builtin_model: Model, must: bool, has_format: bool
) -> None:
    form = JsonObject("response_format") if has_format else None
    for text, is_fine in (
        ('"level": 5}}\n</tool_call>', True),
        ('"level": 500}}\n</tool_call>', False),
        ("text", False),
        ('{"a": 1}', False),
    ):
        constraint = compiler.compile(form, begin(HERMES, BEGUN, must=must))
        assert follow(constraint, builtin_model, text) == is_fine, text


def test_a_call_that_no_tool_would_take_is_text(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    wrong = '<tool_call>\n{"name": "unset", '
    constraint = compiler.compile(None, begin(HERMES, wrong))
    assert follow(constraint, builtin_model, '"arguments": {}}\n</tool_call>')
    with pytest.raises(InvalidConstraint, match="call") as refused:
        compiler.compile(None, begin(HERMES, wrong, must=True))
    assert refused.value.param == "messages"


@pytest.mark.parametrize("must", [False, True])
def test_the_beginning_of_an_opener_is_finished(
    compiler: ConstraintCompiler, builtin_model: Model, must: bool
) -> None:
    for text, is_fine in (
        ('ll>{"name": "set", "arguments": {}}</tool_call>', True),
        ('ll>{"name": "unset", "arguments": {}}</tool_call>', False),
        ("nnot say", not must),
    ):
        constraint = compiler.compile(None, begin(HERMES, "<tool_ca", must=must))
        assert follow(constraint, builtin_model, text) == is_fine, text
