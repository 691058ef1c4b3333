"""Calls whose values are bare text, held to the schemas of their parameters."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from app.chat.formats.argument_pairs import GLM
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.gemma import GEMMA_4
from app.chat.formats.nested_xml import MINIMAX_M3
from app.chat.formats.tagged_parameters import DEEPSEEK_V4, KIMI_K3, MINICPM5, QWEN3_CODER
from app.core.errors import InvalidConstraint
from app.core.messages import Tool
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model
from tests.llama.test_constraint_kinds import follow
from tests.llama.test_tool_calls import offer
from tests.unit.chat.reading import read_every_way

ENUM = {"enum": ["red", "blue"]}
EITHER = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}


def qwen(value: str) -> str:
    function = f"<function=f>\n<parameter=a>\n{value}\n</parameter>\n</function>"
    return f"<tool_call>\n{function}\n</tool_call>"


def glm(value: str) -> str:
    return f"<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>{value}</arg_value>\n</tool_call>"


def fits(
    compiler: ConstraintCompiler, model: Model, spoken: ChatFormat, schema: Any, text: str
) -> bool:
    defs = {"color": ENUM}
    parameters = {"properties": {"a": schema}, "required": ["a"], "$defs": defs}
    calls = offer(spoken, (Tool("f", parameters=parameters),), must=True)
    return follow(compiler.compile(None, Frame(calls=calls)), model, text)


@pytest.mark.parametrize(
    ("schema", "value", "is_fine"),
    [
        ({"type": "string"}, "", True),
        ({"type": "string"}, 'any <b> "text"\n\nof {lines}', True),
        ({"type": "string", "maxLength": 3}, "abc", True),
        ({"type": "string", "maxLength": 3}, "abcd", False),
        ({"type": "string", "pattern": "^a+$"}, "aaa", True),
        ({"type": "string", "pattern": "^a+$"}, "aab", False),
        (ENUM, "blue", True),
        (ENUM, "green", False),
        ({"$ref": "#/$defs/color"}, "red", True),
        ({"$ref": "#/$defs/color"}, "rod", False),
        ({"type": ["string", "null"]}, "null", True),
        ({"anyOf": [ENUM, {"type": "null"}]}, "null", True),
        ({"anyOf": [ENUM, {"type": "null"}]}, "none", False),
        ({"type": "integer"}, "12", True),
        ({"type": "integer"}, "1.5", False),
        ({"type": ["integer", "null"]}, "null", True),
        ({"enum": [1, 2]}, "2", True),
        ({"enum": [1, 2]}, "3", False),
        ({"type": "array", "items": {"$ref": "#/$defs/color"}}, '["red"]', True),
        ({"type": "array", "items": {"$ref": "#/$defs/color"}}, '["rod"]', False),
        (EITHER, "[1, 2]", True),
        (EITHER, "two", True),
        (EITHER, '["x"]', False),
        ({}, "anything", True),
        ({}, '{"a": 1}', True),
    ],
)
def test_a_value_is_of_its_schema(
    compiler: ConstraintCompiler, builtin_model: Model, schema: Any, value: str, is_fine: bool
) -> None:
    assert fits(compiler, builtin_model, QWEN3_CODER, schema, qwen(value)) == is_fine
    assert fits(compiler, builtin_model, GLM, schema, glm(value)) == is_fine


@pytest.mark.parametrize(
    ("schema", "attribute", "value", "is_fine"),
    [
        ({"type": "string"}, 'string="true"', "1", True),
        ({"type": "string"}, 'string="false"', "1", False),
        ({"type": "integer"}, 'string="false"', "1", True),
        (EITHER, 'string="true"', "[1]", True),
        (EITHER, 'string="false"', "[1]", True),
        (EITHER, 'string="false"', "1", False),
        ({}, 'string="false"', "[null]", True),
        ({}, 'string="true"', "x", True),
    ],
)
def test_an_attribute_tells_the_type(
    compiler: ConstraintCompiler,
    builtin_model: Model,
    schema: Any,
    attribute: str,
    value: str,
    is_fine: bool,
) -> None:
    text = f"""<｜DSML｜tool_calls>
<｜DSML｜invoke name="f">
<｜DSML｜parameter name="a" {attribute}>{value}</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜tool_calls>"""
    assert fits(compiler, builtin_model, DEEPSEEK_V4, schema, text) == is_fine


def test_the_types_of_kimi(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    for kind, is_fine in (("number", True), ("integer", False), ("string", False)):
        text = (
            '<|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|>'
            f'<|open|>argument key="a" type="{kind}"<|sep|>1<|close|>argument<|sep|>'
            "<|close|>call<|sep|><|close|>tools<|sep|>"
        )
        assert fits(compiler, builtin_model, KIMI_K3, {"type": "integer"}, text) == is_fine


def test_parameters_that_no_schema_names(
    compiler: ConstraintCompiler, builtin_model: Model
) -> None:
    text = '<function name="f"><param name="b">x</param><param name="c">1</param></function>'
    for schema, is_fine in (({"type": "object"}, True), (None, False)):
        calls = offer(MINICPM5, (Tool("f", parameters=schema),), must=True)
        constraint = compiler.compile(None, Frame(calls=calls))
        assert follow(constraint, builtin_model, text) == is_fine


def test_nested_elements(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    tree = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "down": {"$ref": "#/$defs/t"}},
    }
    parameters = {
        "properties": {"tree": {"$ref": "#/$defs/t"}, "names": {"type": "array", "items": ENUM}},
        "$defs": {"t": tree},
    }
    for inside, is_fine in (
        ("<tree><down><n>1</n></down></tree>", True),
        ("<tree><n>one</n></tree>", False),
        ("<names><item>red</item><item>blue</item></names>", True),
        ("<names><item>green</item></names>", False),
    ):
        text = f'<tool_call>\n<invoke name="f">{inside}</invoke>\n</tool_call>'
        calls = offer(MINIMAX_M3, (Tool("f", parameters=parameters),), must=True)
        constraint = compiler.compile(None, Frame(calls=calls))
        marked = text.replace("<", "]<]minimax[>[<")
        assert follow(constraint, builtin_model, marked) == is_fine, inside


@pytest.mark.parametrize(
    ("schema", "value", "is_fine"),
    [
        ({"enum": ["1", 2, None]}, "1", True),
        ({"enum": ["1", 2, None]}, "2", True),
        ({"enum": ["1", 2, None]}, "3", False),
        ({"enum": [True, "yes"]}, "true", True),
        ({"enum": [True, "yes"]}, "false", False),
        ({"const": "5"}, "5", True),
        ({"const": 5}, "6", False),
        ({"type": "string", "format": "date"}, "2024-02-29", True),
        ({"type": "string", "format": "date"}, "2023-02-29", False),
        ({"type": "string", "format": "date-time"}, "2024-02-29T23:59:59.5+01:00", True),
        ({"type": "string", "format": "date-time"}, "2024-02-29 23:59:59", False),
        ({"type": "string", "format": "time"}, "23:59:59Z", True),
        ({"type": "string", "format": "duration"}, "P1DT2H", True),
        ({"type": "string", "format": "duration"}, "P", False),
        ({"type": "string", "format": "email"}, "a.b@c.example", True),
        ({"type": "string", "format": "email"}, "a.b@", False),
        ({"type": "string", "format": "ipv4"}, "255.0.0.1", True),
        ({"type": "string", "format": "ipv4"}, "256.0.0.1", False),
        ({"type": "string", "format": "ipv6"}, "::1", True),
        ({"type": "string", "format": "ipv6"}, "1:2:3:4:5:6:7:8", True),
        ({"type": "string", "format": "ipv6"}, "1::2::3", False),
        ({"type": "string", "format": "uuid"}, "123e4567-e89b-12d3-a456-426614174000", True),
        ({"type": "string", "format": "hostname"}, "a-b.example", True),
        ({"type": "string", "format": "hostname"}, "-a.example", False),
        ({"type": "string", "format": "uri"}, "https://a.example:80/b?c=d#e", True),
        ({"type": "string", "format": "uri"}, "no address", False),
        ({"type": "string", "pattern": "^a|b$"}, "ax", True),
        ({"type": "string", "pattern": "^a|b$"}, "xa", False),
        ({"type": "string", "pattern": r"^\d+/\w$"}, "12/x", True),
        ({"type": "string", "pattern": r"^\d+/\w$"}, "12/é", False),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "éé", True),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "é", False),
        ({"anyOf": [{"const": 0}, {"type": "string", "pattern": "^[0-9]{5}$"}]}, "12345", True),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "12 apples", True),
        ({"allOf": [{"$ref": "#/$defs/color"}, {"enum": ["red", "rod"]}]}, "red", True),
        ({"allOf": [{"$ref": "#/$defs/color"}, {"enum": ["red", "rod"]}]}, "blue", False),
        ({"oneOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "b", True),
        # refused or not, the rest of a schema holds
        ({"type": "array", "uniqueItems": True, "items": {"type": "integer"}}, "[1]", True),
        ({"type": "array", "uniqueItems": True, "items": {"type": "integer"}}, '["x"]', False),
    ],
)
def test_a_string_is_all_that_its_schema_says(
    compiler: ConstraintCompiler, builtin_model: Model, schema: Any, value: str, is_fine: bool
) -> None:
    assert fits(compiler, builtin_model, QWEN3_CODER, schema, qwen(value)) == is_fine
    assert fits(compiler, builtin_model, GLM, schema, glm(value)) == is_fine


@pytest.mark.parametrize(
    ("spoken", "name", "schema", "says"),
    [
        (GLM, "a", {"enum": ["</arg_value>", "x"]}, "</arg_value>"),
        (QWEN3_CODER, "a", {"enum": ["1", 1]}, '"1"'),
        (GEMMA_4, 'a<|"|>', {"type": "integer"}, "cannot stand in a name"),
    ],
)
def test_what_a_format_cannot_say_is_refused_of_strict_tools(
    compiler: ConstraintCompiler,
    spoken: ChatFormat,
    name: str,
    schema: Any,
    says: str,
) -> None:
    parameters = {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
    }
    tool = Tool("f", parameters=parameters, strict=True, source="tools[0].function.parameters")
    with pytest.raises(InvalidConstraint, match=re.escape(says)) as refused:
        compiler.compile(None, Frame(calls=offer(spoken, (tool,), must=True)))
    assert refused.value.param == tool.source
    compiler.compile(None, Frame(calls=offer(spoken, (replace(tool, strict=False),), must=True)))


def test_names_that_look_like_markup(compiler: ConstraintCompiler, builtin_model: Model) -> None:
    names = ['a"b', "a>b", " pad ", "ü<x"]
    parameters = {"properties": {name: {"type": "integer"} for name in names}, "required": names}
    tools = (Tool("f", parameters=parameters),)
    inside = "".join(f"<parameter={name}>\n1\n</parameter>\n" for name in names)
    text = f"<tool_call>\n<function=f>\n{inside}</function>\n</tool_call>"
    constraint = compiler.compile(None, Frame(calls=offer(QWEN3_CODER, tools, must=True)))
    assert follow(constraint, builtin_model, text)
    said = read_every_way(lambda: QWEN3_CODER.make_parser(tools, thinks=False), text)
    assert json.loads(said.calls[0][1]) == dict.fromkeys(names, 1)


def test_json_may_hold_the_tag_that_ends_it() -> None:
    tools = (Tool("f", parameters={"properties": {"l": {"type": "array"}}}),)
    items = ["</parameter>", '"</parameter>\\n</function>']
    text = f"<tool_call>\n<function=f>\n<parameter=l>\n{json.dumps(items)}\n</parameter>\n"
    said = read_every_way(
        lambda: QWEN3_CODER.make_parser(tools, thinks=False), f"{text}</function>\n</tool_call>"
    )
    assert json.loads(said.calls[0][1]) == {"l": items}
