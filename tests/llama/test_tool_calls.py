"""Tool calls under constraints: what the grammars let through, the parsers read as valid calls."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.registry import FORMATS, find_format
from app.chat.parsers.answer import FindsCalls, WritesCalls
from app.core.errors import InvalidConstraint
from app.core.messages import Tool
from app.core.requests import JsonObject
from app.engine.constraint import Calls, ConstraintCompiler, Frame, TokenConstraint
from app.llama.model import Model
from tests.llama.test_constraint_kinds import follow
from tests.unit.chat.reading import Read, read

TEXT = {"type": "string", "maxLength": 6}
TOOLS = (
    Tool(
        "set_light",
        parameters={
            "type": "object",
            "properties": {
                "room": TEXT,
                "level": {"type": "integer", "minimum": 0, "maximum": 100},
                "mode": {"enum": ["warm", "cold"]},
                "on": {"type": "boolean"},
            },
            "required": ["room", "level"],
        },
    ),
    Tool("set", parameters={"type": "object", "properties": {}, "additionalProperties": False}),
    Tool(
        "paint",
        parameters={
            "type": "object",
            "properties": {
                "colors": {"type": "array", "items": {"$ref": "#/$defs/color"}, "maxItems": 2},
                "where": {
                    "type": "object",
                    "properties": {"x": {"type": "number", "multipleOf": 0.5, "maximum": 9}},
                    "required": ["x"],
                    "additionalProperties": False,
                },
            },
            "required": ["colors"],
            "$defs": {"color": {"enum": ["red", "<tool_call>", 'gr"ün']}},
        },
    ),
    Tool("now"),
)
SPOKEN = [one for one in FORMATS if isinstance(one.calls, WritesCalls)]
HERMES = find_format("<tool_call>")
# what must stand before a call in free text
HEADERS = {"muse": "<|eom|><|start|>assistant to=set<|message|>"}


def offer(
    spoken: ChatFormat, tools: Sequence[Tool] = TOOLS, *, must: bool = False, many: bool = True
) -> Calls:
    syntax = spoken.held_to(must=must)
    assert isinstance(syntax, WritesCalls)
    find = syntax.find if isinstance(syntax, FindsCalls) and not must else None
    return Calls(
        syntax.write,
        syntax.openers.texts,
        tuple(tools),
        must=must,
        many=many,
        find=find,
        outset=spoken.outset,
    )


def draw(constraint: TokenConstraint, model: Model, seed: int) -> str:
    """Random tokens among those that are allowed, and later on rather those that end something."""
    rng, text = np.random.default_rng(seed), b""
    closing = model.vocabulary.tokenize(']}"<[`', add_special=False, parse_special=False)
    closing += model.vocabulary.tokenize(CLOSE, add_special=False, parse_special=True)
    ends = list(model.vocabulary.end_tokens)
    for step in range(3000):
        row = rng.normal(size=model.vocabulary.size).astype(np.float32)
        row[closing] += 5 * (step > 80)
        row[ends] += 20 * (step > 80)
        constraint.mask(row)
        token = int(row.argmax())
        constraint.accept(token)
        if token in model.vocabulary.end_tokens:
            break
        text += model.vocabulary.piece(token, special=True)
        if constraint.is_complete:
            break
    else:
        raise AssertionError(f"no end: {text!r}")
    return text.decode()


KINDS: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool}


def check(schema: Any, value: Any, root: Any) -> None:
    """Under a schema made of the keywords in TOOLS."""
    if "$ref" in schema:
        schema = root["$defs"]["color"]
    kind: str = schema.get("type", "")
    if kind in {"integer", "number"}:
        assert type(value) in ((int,) if kind == "integer" else (int, float))
        assert value <= schema["maximum"]
        assert value >= schema.get("minimum", value)
        assert value % schema.get("multipleOf", value or 1) == 0
    else:
        assert isinstance(value, KINDS.get(kind, object))
    assert value in schema.get("enum", [value])
    if kind in {"string", "array"}:
        assert len(value) <= schema.get("maxLength", schema.get("maxItems", 0))
    if kind == "array":
        [check(schema["items"], item, root) for item in value]
    if kind == "object":
        assert all(name in value for name in schema.get("required", ()))
        [check(schema["properties"][name], member, root) for name, member in value.items()]


def check_calls(said: Read, tools: Sequence[Tool] = TOOLS) -> None:
    by_name = {tool.name: tool for tool in tools}
    assert said.malformed == 0, said
    for (name, arguments, *_), is_whole in zip(said.calls, said.ended, strict=True):
        assert is_whole
        schema = by_name[name].parameters or {"type": "object", "properties": {}}
        check(schema, json.loads(arguments), schema)


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
@pytest.mark.parametrize("many", [False, True])
def test_whatever_the_logits_say_the_parser_reads_valid_calls(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat, many: bool
) -> None:
    counts: set[int] = set()
    for seed in range(8):
        frame = Frame(calls=offer(spoken, must=True, many=many))
        text = draw(compiler.compile(None, frame), builtin_model, seed)
        said = read(lambda: spoken.make_parser(TOOLS, thinks=False), text)
        check_calls(said)
        assert said.calls, text
        assert not said.content.strip(), text
        counts.add(len(said.calls))
    assert many or counts == {1}


@pytest.mark.parametrize("spoken", SPOKEN, ids=[one.name for one in SPOKEN])
def test_a_call_that_was_opened_in_free_text_is_valid(
    compiler: ConstraintCompiler, builtin_model: Model, spoken: ChatFormat
) -> None:
    """Openers come as tokens and as plain text; after one of them the logits are random."""
    assert isinstance(spoken.calls, WritesCalls)
    vocabulary = builtin_model.vocabulary
    # code for a tool named python goes on to the end of the answer
    openers = [one for one in spoken.calls.openers.texts if one != "<|python_tag|>"]
    header = HEADERS.get(spoken.name, "")
    for seed, opener in enumerate(openers * 4):
        constraint = compiler.compile(None, Frame(calls=offer(spoken, many=False)))
        said = f"Let me <see> [1].\n{header}{opener}"
        for token in vocabulary.tokenize(said, add_special=False, parse_special=True):
            assert constraint.allows(token), said
            constraint.accept(token)
        text = said + draw(constraint, builtin_model, seed)
        heard = read(lambda: spoken.make_parser(TOOLS, thinks=False), text)
        check_calls(heard)
        assert len(heard.calls) == 1, text
        assert heard.content.strip() == "Let me <see> [1].", text


CLOSE = "</tool_call>"
CALL = '<tool_call>\n{"name": "set", "arguments": {}}\n</tool_call>'
WRONG = '<tool_call>\n{"name": "unset", "arguments": {}}\n</tool_call>'


@pytest.mark.parametrize(
    ("thought", "text", "is_fine"),
    [
        ("none", "Just text, with <b>tags</b> and <tool_cal>.", True),
        ("none", f"Words {CALL} more words {CALL}\n{CALL}", True),
        ("none", f"Words {WRONG}", False),
        ("none", f"{CALL}{WRONG}", False),
        ("none", "", True),
        ("optional", f"<think>I could {WRONG}, but no.</think>\n\nDone. {CALL}", True),
        ("optional", f"\n<think>Hm.</think>{WRONG}", False),
        ("optional", f"Words {WRONG}", False),
        ("optional", "<think>Never closed", True),
        ("open", f"I could {WRONG}.\n</think>\n\n{CALL}", True),
        ("open", f"Hm.</think>{WRONG}", False),
        ("open", f"Never closed {WRONG}", True),
    ],
)
def test_text_is_free_until_a_call_is_opened(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    thought: Literal["none", "optional", "open"],
    text: str,
    is_fine: bool,
) -> None:
    frame = Frame(thought, "<think>", "</think>", offer(HERMES))
    assert follow(compiler.compile(None, frame), builtin_model, text) == is_fine


def test_plain_text_opens_a_call_like_its_token(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    vocabulary = builtin_model.vocabulary
    for text, is_fine in ((CALL, True), (WRONG, False)):
        constraint = compiler.compile(None, Frame(calls=offer(HERMES)))
        tokens: list[int] = []
        for char in text.removesuffix(CLOSE):  # a tag in single characters is not its token
            tokens += vocabulary.tokenize(char, add_special=False, parse_special=False)
        tokens += vocabulary.tokenize(CLOSE, add_special=False, parse_special=True)
        fits = True
        for token in tokens:
            fits = fits and constraint.allows(token)
            if fits:
                constraint.accept(token)
        assert fits == is_fine


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ('{"name": "set_light", "parameters": {"room": "a", "level": 5}}', True),
        ('{"name":"set_light","parameters":{"room":"a","level":5}}', True),
        ('{"type": "function", "name": "set", "parameters": {}}', True),
        ('Now. {"name": "set", "parameters": {}} Done.', True),
        ('{"name": "set_light", "parameters": {"room": 5}}', False),
        ('{"name":"set","parameters":{"x":1}}', False),
        ('Now. {"type": "function", "name": "set_light", "parameters": {"level": "x"}}', False),
        ('{"name": "Bob", "parameters": 5}', True),
        ('{"name": "set_light"}', True),
        ('{"a": [1, {"name": "set"}]} and more', True),
    ],
)
def test_calls_without_markers_are_held_where_their_names_show_them(
    compiler: ConstraintCompiler, builtin_model: Model, text: str, is_fine: bool
) -> None:
    frame = Frame(calls=offer(find_format("", "llama-3")))
    assert follow(compiler.compile(None, frame), builtin_model, text) == is_fine


ROOM = 'room="a", level=5'


@pytest.mark.parametrize("name", ["llama-3", "llama-4", "pythonic"])
@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        (f"[set_light({ROOM})]", True),
        (f"Now. [set_light({ROOM}), set()] Done.", True),
        (f"[ set_light({ROOM})] and [set()]", True),
        ("[set_light(room=5)]", False),
        ('Now. [set_light(room="a")]', False),
        (f"[set_light({ROOM}, size=1)]", False),
        (f"[set(), set_light({ROOM}), unset()]", False),
        ("[[set(x=1)]]", False),
        ("[1] is a list, [set(x=1)] is none", False),
        ('{"name": "Bob"} and then {"name": "set", "parameters": {"x": 1}}', False),
        ('{"type":"function","function":{"name":"set","parameters":{"x":1}}}', False),
        ('{"type":"function","function":{"name":"set","parameters":{}}}', True),
        ("[set(1)] and [set_light(room, 5)] a[set(x.y)]", True),
        ("[1, 2] [set] [set, (x=1)] [unset(x=1)] a[i](x=1) [x](http://set(x=1)) [", True),
        ("- [ ] set(x=1)\n- [x] [setup(x=1)]", True),
    ],
)
def test_python_without_markers_is_held_once_a_tool_is_called(
    compiler: ConstraintCompiler, builtin_model: Model, name: str, text: str, is_fine: bool
) -> None:
    frame = Frame(calls=offer(find_format("", name)))
    assert follow(compiler.compile(None, frame), builtin_model, text) == is_fine


def test_one_call_ends_the_answer(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    for must in (False, True):
        calls = offer(HERMES, must=must, many=False)
        assert follow(compiler.compile(None, Frame(calls=calls)), builtin_model, CALL)
        assert not follow(compiler.compile(None, Frame(calls=calls)), builtin_model, CALL + "x")
        assert not follow(compiler.compile(None, Frame(calls=calls)), builtin_model, CALL + CALL)


def test_a_format_or_calls(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    frame = Frame("optional", "<think>", "</think>", offer(HERMES))
    for text, is_fine in (
        ('{"a": 1}', True),
        (f"<think>x</think>\n\n{CALL}", True),
        (f"{CALL}\n{CALL}", True),
        (WRONG, False),
        ("words", False),
    ):
        said = follow(compiler.compile(JsonObject("response_format"), frame), builtin_model, text)
        assert said == is_fine, text


@pytest.mark.parametrize(
    ("schema", "arguments", "is_fine"),
    [
        (None, {}, True),
        (None, {"a": 1}, False),
        ({}, {"a": 1}, True),
        ({"type": "object"}, {"a": [1]}, True),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}, True),
        ({"properties": {"a": {"type": "integer"}}}, {"a": "x"}, False),
        ({"properties": {"a": {}}}, {"b": 1}, False),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"b": 1}, True),
        # what cannot be compiled is only held to be an object
        ({"properties": {"a": {"not": {}}}}, {"a": [1]}, True),
        ({"properties": {"a": {"type": "integer", "multipleOf": 999_983}}}, {"a": [1]}, True),
    ],
)
def test_schemas(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    schema: dict[str, Any] | None,
    arguments: dict[str, Any],
    is_fine: bool,
) -> None:
    tools = (Tool("f", parameters=schema), Tool("other"))
    constraint = compiler.compile(None, Frame(calls=offer(HERMES, tools)))
    call = f'<tool_call>{{"name": "f", "arguments": {json.dumps(arguments)}}}</tool_call>'
    assert follow(constraint, builtin_model, call) == is_fine


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, ".required"),
        (
            {
                "type": "object",
                "properties": {"a": {"not": {}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            ".properties.a.not",
        ),
    ],
)
def test_a_strict_schema_is_refused_with_its_path(
    compiler: ConstraintCompiler, schema: dict[str, Any], where: str
) -> None:
    source = "tools[1].function.parameters"
    tools = (Tool("f"), Tool("g", parameters=schema, strict=True, source=source))
    with pytest.raises(InvalidConstraint) as refused:
        compiler.compile(None, Frame(calls=offer(HERMES, tools)))
    assert refused.value.param == source + where


def test_parameters_are_an_object(compiler: ConstraintCompiler) -> None:
    source = "tools[0].function.parameters"
    tools = (Tool("f", parameters={"type": "string"}, source=source),)
    with pytest.raises(InvalidConstraint, match="object") as refused:
        compiler.compile(None, Frame(calls=offer(HERMES, tools)))
    assert refused.value.param == f"{source}.type"


@pytest.mark.parametrize(
    ("schema", "arguments", "is_fine"),
    [
        ({"type": "object"}, 'a:1,b:<|"|>x<|"|>', True),
        ({"properties": {"a": {}}}, "a:true", True),
        ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, "b:1", True),
        ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, "a:1", False),
        ({"properties": {"a": {}, "b": {}, "c": {}}}, "c:1", True),
        ({"properties": {"a": {}, "b": {}, "c": {}}}, "", True),
        ({"properties": {"a b": {"type": "null"}}}, '<|"|>a b<|"|>:null', True),
        ({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}, "a:null", True),
        ({"properties": {"a": {"enum": ["x", 1, [2], {"k": 3}]}}}, "a:{k:3}", True),
        ({"properties": {"a": {"enum": ["x", 1, [2], {"k": 3}]}}}, 'a:<|"|>y<|"|>', False),
        ({"properties": {"a": {"type": "array", "minItems": 2}}}, "a:[1]", False),
        ({"properties": {"a": {"type": "array", "minItems": 2}}}, "a:[1,2,3]", True),
        ({"properties": {"a": {"allOf": [{"$ref": "#"}]}}}, "a:{a:{}}", True),
        ({"properties": {"a": {"type": "string", "minLength": 2}}}, 'a:<|"|>x<|"|>', False),
    ],
)
def test_gemma_s_arguments(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    schema: dict[str, Any],
    arguments: str,
    is_fine: bool,
) -> None:
    calls = offer(find_format("", "gemma-4"), (Tool("f", parameters=schema),), must=True)
    constraint = compiler.compile(None, Frame(calls=calls))
    text = f"<|tool_call>call:f{{{arguments}}}<tool_call|>"
    assert follow(constraint, builtin_model, text) == is_fine


OPEN_LIST = "<|tool_call_start|>["
NODE = {"$defs": {"n": {"type": ["integer", "null"]}}, "properties": {"n": {"$ref": "#/$defs/n"}}}


IN_LISTS: list[Any] = [
    (TOOLS[0].parameters, 'f(room="x", level=1)', True),
    (TOOLS[0].parameters, 'f(room="x",level=1, mode="cold" , on=False)', True),
    (TOOLS[0].parameters, 'f(room="x", level=1, on=true)', True),
    (TOOLS[0].parameters, 'f(room="x")', False),
    (TOOLS[0].parameters, 'f(room="x", level=101)', False),
    (TOOLS[0].parameters, 'f(room="x", level=1, size=2)', False),
    (TOOLS[0].parameters, 'g(room="x", level=1)', False),
    (NODE, "f()", True),
    (NODE, "f(n=null)", True),
    (NODE, 'f(n="x")', False),
    ({"properties": {"n": {}}, "anyOf": [{}, {}]}, "f(n=1)", True),
    ({"anyOf": [{"properties": {"n": {"const": n}}} for n in (1, 2)]}, "f(n=2)", True),
    ({"anyOf": [{"properties": {"n": {"const": n}}} for n in (1, 2)]}, "f(n=3)", False),
    ({"properties": {"n": {}}, "minProperties": 1}, "f()", False),
    ({"additionalProperties": {"type": "integer"}}, "f(x=1, y=2)", True),
    ({"additionalProperties": {"type": "integer"}}, 'f(x=1, y="2")', False),
    (
        {"properties": {"n": {}}, "anyOf": [{}, {}]},
        '{"name": "f", "arguments": {"n": 1}}',
        True,
    ),
    ({"properties": {"a b": {}}}, '{"name": "f", "arguments": {"a b": 1}}', True),
]


@pytest.mark.parametrize(("schema", "call", "is_fine"), IN_LISTS)
def test_python(
    compiler: ConstraintCompiler, builtin_model: Model, schema: Any, call: str, is_fine: bool
) -> None:
    calls = offer(find_format("", "lfm2"), (Tool("f", parameters=schema),))
    text = f"{OPEN_LIST}{call}]<|tool_call_end|>"
    assert follow(compiler.compile(None, Frame(calls=calls)), builtin_model, text) == is_fine


def test_without_markers_calls_can_only_be_demanded(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    llama = find_format("", "llama-3")
    wrong = '{"name": "unset", "parameters": {}}'
    for text, in_text, demanded in (
        ('{"name": "set", "parameters": {}}', True, True),
        (wrong, True, False),
        (f"<|python_tag|>{wrong}", False, False),
        ("[1] {x}", True, False),
    ):
        for must, is_fine in ((False, in_text), (True, demanded)):
            constraint = compiler.compile(None, Frame(calls=offer(llama, must=must)))
            assert follow(constraint, builtin_model, text) == is_fine, (text, must)


CODER = find_format("<tool_call><function=<parameter=")


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ('if a < b:\n    print("<p>")\n\n', True),
        ("", True),
        ("a</parameter>b", False),
    ],
)
def test_strings_between_tags_are_as_they_are(
    compiler: ConstraintCompiler, builtin_model: Model, value: str, is_fine: bool
) -> None:
    schema = {"properties": {"code": {"type": "string"}, "n": {"type": "integer"}}}
    tools = (Tool("run", parameters={**schema, "required": ["code"]}),)
    call = (
        f"<tool_call>\n<function=run>\n<parameter=code>\n{value}\n</parameter>\n"
        "<parameter=n>\n12\n</parameter>\n</function>\n</tool_call>"
    )
    constraint = compiler.compile(None, Frame(calls=offer(CODER, tools)))
    assert follow(constraint, builtin_model, call) == is_fine
    if is_fine:
        said = read(lambda: CODER.make_parser(tools, thinks=False), call)
        assert json.loads(said.calls[0][1]) == {"code": value, "n": 12}


@pytest.mark.parametrize("thought", ["optional", "open"])
@pytest.mark.parametrize("must", [False, True])
@pytest.mark.parametrize("ends_at_call", [False, True])
def test_a_call_may_end_a_thought(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    thought: Literal["optional", "open"],
    must: bool,
    ends_at_call: bool,
) -> None:
    start = "<think>" if thought == "optional" else ""
    frame = Frame(thought, "<think>", "</think>", offer(HERMES, must=must), ends_at_call)
    for text, is_fine in (
        (f"{start}Hm. {CALL}", ends_at_call or not must),
        (f"{start}Hm. {WRONG}", not ends_at_call and not must),
        (f"{start}Hm. </think>\n\n{CALL}", True),
        (f"{start}Hm. {CALL}{CALL}", ends_at_call or not must),
        (f"{start}Hm. {CALL}{WRONG}", not ends_at_call and not must),
    ):
        assert follow(compiler.compile(None, frame), builtin_model, text) == is_fine, text
