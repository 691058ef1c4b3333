"""Grammars around answers, over a vocabulary of bytes and the control tokens of gpt-oss.

Only there do some markers begin with a token that begins other text too.
"""

from collections.abc import Iterator
from typing import Any

import llguidance
import pytest

from app.chat.formats.channels import GPT_OSS
from app.chat.parsers.answer import WritesCalls
from app.core.messages import Tool
from app.core.requests import JsonObject
from app.engine.constraint import Calls, ConstraintCompiler, Frame, TokenConstraint

SPECIAL = (
    *("<|return|>", "<|call|>", "<|end|>"),
    *("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"),
)
FIRST = 256
ENDS = ("", *SPECIAL[:2])
TOOL = Tool("f", parameters={"properties": {"a": {"type": "integer"}}, "required": ["a"]})
THOUGHT = "<|channel|>analysis<|message|>Hm, functions.f?<|end|><|start|>assistant"
FINAL = "<|channel|>final<|message|>"
COMMENTARY = "<|channel|>commentary to=functions."
CALL = f'{COMMENTARY}f <|constrain|>json<|message|>{{"a": 1}}<|call|>'


class Bytes:
    bos_token_id = None
    eos_token_id = FIRST

    def __init__(self) -> None:
        self.special_token_ids = list(range(FIRST, FIRST + len(SPECIAL)))
        self.tokens = [bytes([byte]) for byte in range(FIRST)] + [one.encode() for one in SPECIAL]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@pytest.fixture(scope="module")
def compiler() -> Iterator[ConstraintCompiler]:
    wrapper: Any = llguidance.TokenizerWrapper(Bytes())
    # llama.cpp ends generation at both
    tokenizer = llguidance.LLTokenizer(wrapper, eos_token=[FIRST, FIRST + 1], slices=[])
    compiler = ConstraintCompiler(tokenizer, FIRST + len(SPECIAL))
    yield compiler
    compiler.close()


def make_frame(*, calls: bool = True, must: bool = False) -> Frame:
    syntax, thought = GPT_OSS.calls, GPT_OSS.thought
    assert isinstance(syntax, WritesCalls)
    offered = Calls(
        syntax.write, syntax.openers.texts, (TOOL,), must=must, prompt_end="<|start|>assistant"
    )
    return Frame(
        "optional",
        thought.open,
        thought.close,
        offered if calls else None,
        thought.ends_at_call,
        GPT_OSS.turn,
        GPT_OSS.reply,
    )


def follows(constraint: TokenConstraint, text: str) -> bool:
    """Whether `text` is a whole answer."""
    while text and not constraint.is_complete:
        special = next((one for one in SPECIAL if text.startswith(one)), None)
        piece = special or text[0]
        ids = [FIRST + SPECIAL.index(special)] if special else list(piece.encode())
        for token in ids:
            if not constraint.allows(token):
                return False
            constraint.accept(token)
        text = text[len(piece) :]
    return text in ENDS if constraint.is_complete else constraint.allows(FIRST)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        (f"{FINAL}{{}}", True),
        (f"{THOUGHT}{FINAL}{{}}", True),
        ("{}", False),
        (f"{THOUGHT}{{}}", False),
        (f"{FINAL}words", False),
    ],
)
def test_a_format_comes_in_the_final_channel(
    compiler: ConstraintCompiler, text: str, is_fine: bool
) -> None:
    frame = make_frame(calls=False)
    assert follows(compiler.compile(JsonObject("response_format"), frame), text) == is_fine


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        (CALL, True),
        (f"{THOUGHT}{CALL}", True),
        (f"{THOUGHT.removesuffix('<|start|>assistant')}{CALL}", False),
        (f"{THOUGHT}{FINAL}No.", False),
        (f"{COMMENTARY}g<|message|>{{}}<|call|>", False),
    ],
)
def test_demanded_calls_are_messages(
    compiler: ConstraintCompiler, text: str, is_fine: bool
) -> None:
    assert follows(compiler.compile(None, make_frame(must=True)), text) == is_fine


@pytest.mark.parametrize(
    "head",
    [
        f"{COMMENTARY}{{}} <|constrain|>json",
        "<|channel|>analysis to=functions.{} json",
        " to=functions.{}<|channel|>commentary json",
        f"{THOUGHT}{COMMENTARY}{{}}",
        f"{THOUGHT} to=functions.{{}}<|channel|>commentary <|constrain|>json",
        f"<|channel|>analysis<|message|>Hm.{COMMENTARY}{{}} json",
        f"<|channel|>commentary<|message|>I look.<|end|><|start|>assistant{COMMENTARY}{{}} json",
    ],
)
@pytest.mark.parametrize(
    ("name", "arguments", "is_fine"),
    [("f", '{"a": 1}', True), ("f", '{"a": "x"}', False), ("g", '{"a": 1}', False)],
)
def test_a_call_wherever_it_is_opened_is_valid(
    compiler: ConstraintCompiler, head: str, name: str, arguments: str, is_fine: bool
) -> None:
    text = f"{head.format(name)}<|message|>{arguments}<|call|>"
    assert follows(compiler.compile(None, make_frame()), text) == is_fine


@pytest.mark.parametrize(
    "text",
    [
        f"{FINAL}Hello.",
        f"{THOUGHT}{FINAL}Send it to=functions.f or not.",
        f"{THOUGHT}<|channel|>commentary<|message|>Well.<|end|>",
        f"{THOUGHT}{THOUGHT}{FINAL}Hello.",
        "Hello.",
    ],
)
def test_other_messages_are_free(compiler: ConstraintCompiler, text: str) -> None:
    assert follows(compiler.compile(None, make_frame()), text)
