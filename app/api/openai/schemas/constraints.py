"""The fields that hold an answer to a format: OpenAI's, vLLM's and llama-server's."""

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from app.api.schema import Body, Part

MAX_OPTIONS = 10_000


def _read_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the text is not JSON: {error}") from None


JsonText = Annotated[dict[str, Any], BeforeValidator(_read_json)]
"""A JSON schema, as an object or as text."""

Options = Annotated[list[str], Field(min_length=1, max_length=MAX_OPTIONS, fail_fast=True)]


class SchemaFormat(Part):
    """`json_schema` of a response format; pydantic keeps the name `schema` for itself."""

    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Part):
    """`schema` beside `json_object` is llama.cpp's spelling of a JSON schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaFormat | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("a format of type 'json_schema' needs 'json_schema'")
        return self


class StructuredOutputs(Part):
    """vLLM's."""

    json_: JsonText | None = Field(None, alias="json")
    json_object: bool | None = None
    regex: str | None = None
    choice: Options | None = None
    grammar: str | None = None
    structural_tag: Any = None

    @model_validator(mode="after")
    def _check_known(self) -> Self:
        if self.structural_tag is not None:
            raise ValueError("'structural_tag' is not supported")
        kinds = (self.json_, self.json_object, self.regex, self.choice, self.grammar)
        if not any(kind not in (None, False) for kind in kinds):
            raise ValueError(
                "one of 'json', 'json_object', 'regex', 'choice' and 'grammar' is needed"
            )
        return self


class ConstraintFields(Body):
    """At most one of them constrains an answer; see `api.openai.constraints`."""

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: JsonText | None = None
    guided_regex: str | None = None
    guided_choice: Options | None = None
    guided_grammar: str | None = None
    json_schema: JsonText | None = None
    grammar: str | None = None
