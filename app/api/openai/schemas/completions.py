"""The body of `POST /v1/completions`."""

from typing import Annotated, Any, Self, cast

from pydantic import Field, PlainValidator, model_validator

from app.api.openai.schemas.base import Count, GenerationFields
from app.api.openai.schemas.constraints import ConstraintFields
from app.api.schema import describe
from app.core.requests import TextPrompt, TokenPrompt

TextOrTokens = TextPrompt | TokenPrompt
_FORMS = "a string, an array of strings, of token ids, or of arrays of token ids"


def read_inputs(value: Any) -> list[TextOrTokens]:
    """A string, a list of strings, token ids, or a list of lists of token ids."""
    if isinstance(value, str):
        return [TextPrompt(value)]
    if not isinstance(value, list):
        raise ValueError(f"expected {_FORMS}, got {describe(value)}")  # noqa: TRY004
    items = cast("list[Any]", value)
    if not items:
        raise ValueError("an empty array holds nothing to work on")
    if all(isinstance(item, str) for item in items):
        return [TextPrompt(item) for item in items]
    if _are_ids(items):
        return [TokenPrompt(tuple(items))]
    lists = [cast("list[Any]", item) for item in items if isinstance(item, list) and item]
    if len(lists) == len(items) and all(_are_ids(ids) for ids in lists):
        return [TokenPrompt(tuple(ids)) for ids in lists]
    raise ValueError(f"expected {_FORMS}; token ids are integers from 0, and no array is empty")


def _are_ids(items: list[Any]) -> bool:
    return all(type(item) is int and 0 <= item < 2**31 for item in items)


Inputs = Annotated[list[TextOrTokens], PlainValidator(read_inputs)]


class CompletionBody(ConstraintFields, GenerationFields):
    prompt: Inputs
    suffix: str | None = None
    echo: bool | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    logprobs: Annotated[Count, Field(le=20)] | None = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.best_of is not None:
            if self.best_of < (self.n or 1):
                raise ValueError("'best_of' must be at least 'n'")
            if self.stream and self.best_of > (self.n or 1):
                raise ValueError("'best_of' cannot be streamed")
        if self.suffix is not None:
            if self.echo:
                raise ValueError("'echo' and 'suffix' exclude each other")
            if not all(isinstance(prompt, TextPrompt) for prompt in self.prompt):
                raise ValueError("'suffix' needs the prompt as text")
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("'max_tokens' 0 makes sense only with 'echo'")
        return self
