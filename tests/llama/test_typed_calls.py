"""Calls whose values are bare text, held to the schemas of their parameters."""

from typing import Any

import pytest

from app.chat.formats.argument_pairs import GLM
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.nested_xml import MINIMAX_M3
from app.chat.formats.tagged_parameters import DEEPSEEK_V4, KIMI_K3, MINICPM5, QWEN3_CODER
from app.core.messages import Tool
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model
from tests.llama.test_constraint_kinds import follow
from tests.llama.test_tool_calls import offer

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
