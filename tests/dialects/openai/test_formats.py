"""The fields that hold an answer to a format, as clients of three servers send them."""

import json
from typing import Any

import pytest

from app.core.errors import ConstraintFailed, InvalidConstraint
from app.core.requests import Choice, Constraint, Grammar, JsonObject, JsonSchema, Regex
from app.engine.constraint import Frame, TokenConstraint
from tests.unit.api.served import MODEL, chat, serve
from tests.unit.services.scripted import Script, ScriptedConstraints

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
SCHEMA = {"type": "array"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
HERMES = "{% for m in messages %}{{ m.content }}{% endfor %}{% if tools %}{{ tools }}{% endif %}"
THINKING = HERMES + "{% if false %}</think>{% endif %}"
LARK, GBNF = 'start: "a" | "::="', '# rules\n  root ::= "a: b"'


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"guided_json": SCHEMA}, JsonSchema(SCHEMA, "guided_json")),
        ({"guided_json": json.dumps(SCHEMA)}, JsonSchema(SCHEMA, "guided_json")),
        ({"guided_regex": "a+"}, Regex("a+", "guided_regex")),
        ({"guided_choice": ["a", "b"]}, Choice(("a", "b"), "guided_choice")),
        ({"guided_grammar": LARK}, Grammar(LARK, "lark", "guided_grammar")),
        ({"grammar": GBNF}, Grammar(GBNF, "gbnf", "grammar")),
        ({"grammar": LARK}, Grammar(LARK, "lark", "grammar")),
        ({"json_schema": SCHEMA}, JsonSchema(SCHEMA, "json_schema")),
        ({"structured_outputs": {"json": SCHEMA}}, JsonSchema(SCHEMA, "structured_outputs.json")),
        ({"structured_outputs": {"regex": "a"}}, Regex("a", "structured_outputs.regex")),
        ({"structured_outputs": {"choice": ["a"]}}, Choice(("a",), "structured_outputs.choice")),
        (
            {"structured_outputs": {"grammar": GBNF}},
            Grammar(GBNF, "gbnf", "structured_outputs.grammar"),
        ),
        (
            {"structured_outputs": {"json_object": True}},
            JsonObject("structured_outputs.json_object"),
        ),
        ({"response_format": {"type": "json_object"}}, JsonObject("response_format")),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
                }
            },
            JsonSchema(SCHEMA, "response_format.json_schema.schema", strict=True),
        ),
        ({"response_format": {"type": "text"}, "guided_regex": "a"}, Regex("a", "guided_regex")),
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
async def test_formats(path: str, fields: dict[str, Any], expected: Constraint) -> None:
    constraints = ScriptedConstraints()
    asked = {"model": MODEL, "prompt": "abc"} if path == COMPLETIONS else chat()
    response = await serve(constraints=constraints).post(path, {**asked, **fields})
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers
    assert constraints.compiled == [expected]


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"guided_regex": "a", "grammar": LARK}, "grammar", "'guided_regex' and 'grammar'"),
        (
            {"response_format": {"type": "json_object"}, "guided_choice": ["a"]},
            "guided_choice",
            "'response_format' and 'guided_choice'",
        ),
        (
            {"structured_outputs": {"regex": "a", "choice": ["a"]}},
            "structured_outputs.choice",
            "'structured_outputs.regex'",
        ),
        ({"guided_choice": []}, "guided_choice", "at least 1"),
        ({"guided_choice": ["a", 1]}, "guided_choice[1]", "string"),
        ({"guided_json": "{"}, "guided_json", "not JSON"),
        ({"guided_json": "[]"}, "guided_json", "dictionary"),
        ({"guided_regex": 5}, "guided_regex", "string"),
        ({"structured_outputs": {}}, "structured_outputs", "is needed"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs", "is needed"),
        ({"structured_outputs": {"structural_tag": {}}}, "structured_outputs", "structural_tag"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
async def test_what_is_refused(path: str, fields: dict[str, Any], param: str, word: str) -> None:
    asked = {"model": MODEL, "prompt": "abc"} if path == COMPLETIONS else chat()
    response = await serve().post(path, {**asked, **fields})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param), error
    assert word in error["message"]


@pytest.mark.parametrize(
    ("template", "fields", "expected"),
    [
        (HERMES, {}, ("none", None)),
        (HERMES, {"tools": TOOLS}, ("none", ("<tool_call>",))),
        (HERMES, {"tools": TOOLS, "tool_choice": "none"}, ("none", None)),
        (THINKING, {"tools": TOOLS}, ("optional", ("<tool_call>",))),
        (THINKING + "<think>\n", {}, ("open", None)),
        (THINKING + "<think>\n\n</think>\n\n", {}, ("none", None)),
    ],
)
async def test_thinking_and_calls_stay_free(
    template: str, fields: dict[str, Any], expected: tuple[str, tuple[str, ...] | None]
) -> None:
    constraints = ScriptedConstraints()
    served = serve(constraints=constraints, template=template)
    response = await served.post(CHAT, chat(guided_regex="a", **fields))
    assert response.status_code == 200, response.text
    (frame,) = constraints.frames
    assert frame is not None
    openers = frame.calls.openers if frame.calls is not None else None
    assert (frame.thought, openers) == expected


async def test_completions_have_no_frame() -> None:
    constraints = ScriptedConstraints()
    served = serve(constraints=constraints, template=THINKING)
    await served.post(COMPLETIONS, {"model": MODEL, "prompt": "abc", "guided_regex": "a"})
    assert constraints.frames == [Frame()]


class Refusing(ScriptedConstraints):
    def compile(self, constraint: Constraint | None, frame: Frame | None = None) -> TokenConstraint:
        assert constraint is not None
        raise InvalidConstraint("No.", param=f"{constraint.source}.properties.x")


async def test_a_bad_schema_is_named_by_its_path() -> None:
    response = await serve(constraints=Refusing()).post(CHAT, chat(guided_json=SCHEMA))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "invalid_json_schema")
    assert error["param"] == "guided_json.properties.x"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_format_that_cannot_be_kept_ends_the_answer_with_its_error(stream: bool) -> None:
    script = Script(("a",), failure=ConstraintFailed("The answer cannot be held to its format."))
    response = await serve(script).post(CHAT, chat(guided_regex="a", stream=stream))
    if not stream:
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "constraint_failed"
        return
    *_, last, end = response.text.split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "constraint_failed"
    assert end == ""
