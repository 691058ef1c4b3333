"""Every kind of constraint, and what may stand around it, on a real vocabulary."""

import json
import re
import time
from typing import Any, Literal

import numpy as np
import pytest

from app.chat.parsers.json_calls import JsonCalls
from app.core.errors import ConstraintFailed, InvalidConstraint, InvalidGrammar
from app.core.messages import Tool
from app.core.requests import Choice, Constraint, Grammar, JsonObject, JsonSchema, Regex
from app.engine.constraint import Calls, ConstraintCompiler, Frame, TokenConstraint
from app.llama.model import Model
from tests.llama.conftest import make_runtime
from tests.llama.hostile import GRAMMARS, PATTERNS, SCHEMAS

JSON_GBNF = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array  ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
ws     ::= | " " | "\n" [ \t]{0,20}  # blanks
"""
KINDS: dict[str, tuple[Constraint, str]] = {
    "regex": (Regex(r"[0-9]{2,4}-(x|yz)+", "r"), r"[0-9]{2,4}-(x|yz)+"),
    "choice": (Choice(("yes", "no", "maybe 'ü' 😀"), "c"), "yes|no|maybe 'ü' 😀"),
    "lark": (Grammar('start: "a" b\nb: "(" b ")" | /[0-9]/', "lark", "g"), r"a\(*[0-9]\)*"),
    "gbnf": (Grammar('root ::= "(" root ")" | [0-9]', "gbnf", "g"), r"\(*[0-9]\)*"),
    "regular gbnf": (Grammar('root ::= [a-z]{1,9} "x" y?\ny ::= "\\n"', "gbnf", "g"), "[a-z]+x\n?"),
}


def draw(constraint: TokenConstraint, model: Model, seed: int, *, forces: bool = False) -> str:
    """Random logits under a constraint: only the grammar decides what is possible."""
    rng, text = np.random.default_rng(seed), b""
    for _ in range(300):
        row = rng.normal(size=model.vocabulary.size).astype(np.float32)
        constraint.mask(row)
        token = int(row.argmax())
        assert constraint.allows(token)
        constraint.accept(token)
        if token in model.vocabulary.end_tokens:
            break
        text += model.vocabulary.piece(token)
        for forced in constraint.forced() if forces else ():
            assert forced not in model.vocabulary.end_tokens
            assert constraint.allows(forced)
            constraint.accept(forced)
            text += model.vocabulary.piece(forced)
        if constraint.is_complete:
            assert constraint.forced() == []
            break
    return text.decode()


def follow(constraint: TokenConstraint, model: Model, text: str) -> bool:
    """Whether the constraint takes the whole text, and lets it end there."""
    tokens = model.vocabulary.tokenize(text, add_special=False, parse_special=True)
    for token in tokens:
        if constraint.is_complete or not constraint.allows(token):
            return False
        constraint.accept(token)
    return constraint.is_complete or constraint.allows(min(model.vocabulary.end_tokens))


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_whatever_the_logits_say_the_format_holds(
    compiler: ConstraintCompiler, builtin_model: Model, kind: str, forces: bool
) -> None:
    constraint, pattern = KINDS[kind]
    for seed in range(5):
        text = draw(compiler.compile(constraint), builtin_model, seed, forces=forces)
        assert re.fullmatch(pattern, text), text


def test_gbnf_for_json(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    constraint = Grammar(JSON_GBNF, "gbnf", "g")
    taken = json.dumps({"a": [1, -2.5e3, True, None], 'b"': {"c": "x\n\u00e9"}})
    assert follow(compiler.compile(constraint), builtin_model, taken)
    for text in ('{"a": }', "[1]", '{"a": 01}', "{'a': 1}", '{"a": 1'):
        assert not follow(compiler.compile(constraint), builtin_model, text)


def test_gbnf_without_recursion_means_what_it_says(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    """A repeat gives back what the rest needs, and a longer option does not hide a shorter one."""
    constraint = Grammar('root ::= a "x" | ("do" | "done") "ne"\na ::= [a-z]*', "gbnf", "g")
    for text in ("x", "xx", "abcxx", "done", "donene"):
        assert follow(compiler.compile(constraint), builtin_model, text), text
    assert not follow(compiler.compile(constraint), builtin_model, "abcd")


def test_gbnf_tokens(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    constraint = Grammar('root ::= <think> !</think>* </think> "ok"', "gbnf", "g")
    assert follow(compiler.compile(constraint), builtin_model, "<think>so it is</think>ok")
    assert not follow(compiler.compile(constraint), builtin_model, "ok")


@pytest.mark.parametrize("thought", ["none", "optional", "open"])
@pytest.mark.parametrize("special", [False, True])
def test_thoughts_before_a_format_are_free(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    thought: Literal["none", "optional", "open"],
    special: bool,
) -> None:
    """With markers that are tokens of the vocabulary, and with markers that are plain text."""
    opening, closing = ("<think>", "</think>") if special else ("[TH]", "[/TH]")
    frame = Frame(thought, opening, closing)
    before = {"none": [""], "optional": ["", opening], "open": [""]}[thought]
    for constraint, text in (
        (JsonObject("f"), '{"a": 1}'),
        (Regex(r"\s*[0-9]+", "f"), " 123"),
        (Grammar('start: "a" "b"\n%ignore / +/', "lark", "g"), "a  b"),
    ):
        for start in before:
            said = start
            if start or thought == "open":
                said += f'\nHm, {{"b" <a <tool_call> {opening[:3]}.\n{closing}\n\n'
            assert follow(compiler.compile(constraint, frame), builtin_model, said + text)
            assert not follow(compiler.compile(constraint, frame), builtin_model, said + "no")
        if thought == "open":
            assert not follow(compiler.compile(constraint, frame), builtin_model, text)


def test_an_answer_cannot_end_inside_its_thought(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    frame = Frame("open", "<think>", "</think>")
    constraint = compiler.compile(JsonObject("f"), frame)
    row = np.zeros(builtin_model.vocabulary.size, np.float32)
    constraint.mask(row)
    assert not np.isfinite(row[list(builtin_model.vocabulary.end_tokens)]).any()


def test_the_grammar_ends_an_answer_that_a_bias_would_keep_open(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    ends = list(builtin_model.vocabulary.end_tokens)
    constraint = compiler.compile(Choice(("",), "c"))
    row = np.zeros(builtin_model.vocabulary.size, np.float32)
    row[ends] = -np.inf  # as `ignore_eos` does
    constraint.mask(row)
    assert int(row.argmax()) in ends


@pytest.mark.parametrize("seed", range(3))
def test_forced_tokens_lead_to_the_same_format(
    compiler: ConstraintCompiler, builtin_model: Model, seed: int
) -> None:
    schema = {
        "type": "object",
        "properties": {"temperature": {"type": "integer"}, "unit": {"enum": ["celsius", "kelvin"]}},
        "required": ["temperature", "unit"],
        "additionalProperties": False,
    }
    constraint = compiler.compile(JsonSchema(schema, "s"))
    value = json.loads(draw(constraint, builtin_model, seed, forces=True))
    assert set(value) == {"temperature", "unit"}


def test_forced_tokens_are_those_of_the_tokenizer(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    text = "The capital of France is Paris"
    forced = compiler.compile(Regex(f"{text}(,|!) [a-z]+", "r")).forced()
    whole = builtin_model.vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert len(forced) >= len(whole) - 2
    assert forced == whole[: len(forced)]


def test_greedy_answers_with_and_without_forcing(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"capital": {"enum": ["Paris", "Rome", "Berlin"]}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    said = {forces: answer(compiler, builtin_model, schema, forces) for forces in (False, True)}
    assert said[False] == said[True]
    assert json.loads(said[True])["capital"] in schema["properties"]["capital"]["enum"]


def answer(
    compiler: ConstraintCompiler, model: Model, schema: dict[str, object], forces: bool
) -> str:
    """Greedily, token by token."""
    runtime, vocabulary = make_runtime(model), model.vocabulary
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    tokens = vocabulary.tokenize(prompt, add_special=True, parse_special=True)
    constraint, done, text = compiler.compile(JsonSchema(schema, "s")), 0, b""
    while not constraint.is_complete:
        for row, token in enumerate(tokens[done:]):
            runtime.batch.token[row], runtime.batch.position[row] = token, done + row
            runtime.batch.sequence[row], runtime.batch.output[row] = (
                0,
                done + row == len(tokens) - 1,
            )
        assert runtime.decode(len(tokens) - done)
        done, logits = len(tokens), runtime.logits(1)[0]
        constraint.mask(logits)
        chosen = [int(logits.argmax())]
        constraint.accept(chosen[0])
        for forced in constraint.forced() if forces else ():
            constraint.accept(forced)
            chosen.append(forced)
        tokens += chosen
        text += b"".join(map(vocabulary.piece, chosen))
    runtime.close()
    return text.decode()


HOSTILE: list[tuple[str, Constraint]] = [
    *((name, JsonSchema(schema, "s")) for name, schema in SCHEMAS.items()),
    *((name, Regex(pattern, "s")) for name, pattern in PATTERNS.items()),
    *(
        (name, Grammar(text, "gbnf" if "::=" in text else "lark", "s"))
        for name, text in GRAMMARS.items()
    ),
]


@pytest.mark.parametrize("constraint", [c for _, c in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_what_is_meant_to_break_it_is_refused_or_works(
    compiler: ConstraintCompiler, builtin_model: Model, constraint: Constraint
) -> None:
    """Whatever comes, it ends soon, and with an error that names the field."""
    started, error = time.process_time(), None
    try:
        draw(compiler.compile(constraint), builtin_model, 1)
    except (InvalidConstraint, InvalidGrammar, ConstraintFailed) as raised:
        error = raised
    if error is not None:
        assert isinstance(error, ConstraintFailed) or (error.param or "").startswith("s")
        assert len(error.message) < 600
    assert time.process_time() - started < 3


def test_a_grammar_that_never_compiles_is_given_up(compiler: ConstraintCompiler) -> None:
    patterns = [{"type": "string", "pattern": f".*a{i}.*b{i}"} for i in range(30)]
    started = time.monotonic()
    with pytest.raises(InvalidConstraint, match="too long"):
        compiler.compile(JsonSchema({"allOf": patterns}, "s"))
    assert time.monotonic() - started < 20  # of a busy machine's time; one second of a processor's
    assert compiler.compile(JsonSchema({"type": "integer"}, "s")), "others go on"


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "object", "properties": {}}, ".additionalProperties"),
        (
            {"properties": {"a": {}, "b": {}}, "required": ["a"], "additionalProperties": False},
            ".required",
        ),
        (
            {"anyOf": [{"type": ["object", "null"], "additionalProperties": True}]},
            ".anyOf[0].additionalProperties",
        ),
    ],
)
def test_strict_schemas(
    compiler: ConstraintCompiler, schema: dict[str, object], where: str
) -> None:
    assert compiler.compile(JsonSchema(schema, "s"))
    with pytest.raises(InvalidConstraint, match="strict") as refused:
        compiler.compile(JsonSchema(schema, "s", strict=True))
    assert refused.value.param == f"s{where}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('root ::= "a', "ends inside"),
        ("root ::= [z-a]", "wrong way round"),
        ("root ::= item", "'item' in line 1 is not defined"),
        ('item ::= "a"', "no rule named 'root'"),
        ('root ::= "a"{3,2}', "allows nothing"),
        ('root ::= ("a" | "b"', "expected ')'"),
        ('root ::= "a"\nb = "c"', "line 2"),
        (r'root ::= "\q"', "unknown escape"),
        (r'root ::= "\uD800"', "unknown escape"),
        ("root ::= <no-such-token>", "has no token <no-such-token>"),
        ("root ::= " + "(" * 100 + '"a"' + ")" * 100, "nested"),
    ],
)
def test_bad_gbnf(compiler: ConstraintCompiler, text: str, problem: str) -> None:
    with pytest.raises(InvalidGrammar) as refused:
        compiler.compile(Grammar(text, "gbnf", "grammar"))
    assert problem in refused.value.message
    assert refused.value.param == "grammar"


def test_a_grammar_that_becomes_too_much_fails_its_sequence(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    """llguidance would answer with the end token from there on, as if all were well."""
    constraint = compiler.compile(Regex("(a|b)((c{1000}){1000}){1000}", "r"))
    (a,) = builtin_model.vocabulary.tokenize("a", add_special=False, parse_special=False)

    def step() -> None:
        row = np.zeros(builtin_model.vocabulary.size, np.float32)
        constraint.mask(row)
        constraint.accept(a if np.isfinite(row[a]) else int(row.argmax()))
        for token in constraint.forced():
            constraint.accept(token)

    with pytest.raises(ConstraintFailed, match="cannot be held"):
        [step() for _ in range(10)]


@pytest.mark.parametrize("opener", ["<think>", "<tool_call>"])
def test_nobody_is_led_into_a_thought_or_a_call(
    compiler: ConstraintCompiler, builtin_model: Model, opener: str
) -> None:
    """Among the few tokens that a format leaves, an unlikely opener would be the likeliest."""
    calls = Calls(JsonCalls("<tool_call>", "</tool_call>").write, ("<tool_call>",), (Tool("f"),))
    frame = Frame("optional", "<think>", "</think>", calls)
    vocabulary = builtin_model.vocabulary
    [token] = vocabulary.tokenize(opener, add_special=False, parse_special=True)
    row = np.zeros(vocabulary.size, np.float32)
    row[token], row[vocabulary.tokenize("Hello", add_special=False, parse_special=False)] = 5, 6
    compiler.compile(JsonObject("response_format"), frame).mask(row)
    assert row[token] == -np.inf
    assert row.max() == 0
    row = np.zeros(vocabulary.size, np.float32)
    row[token] = 6
    compiler.compile(JsonObject("response_format"), frame).mask(row)
    assert row[token] == 6
