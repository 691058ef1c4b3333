"""The bodies of `POST /tokenize` and `/detokenize`: llama-server's fields, and vLLM's."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from app.api.schema import Body
from app.core.requests import TokenizeRequest

DEFAULT = "default"
"""The model that answers where a body names none, as llama-server's clients do."""

Model = Annotated[str, Field(min_length=1, max_length=512)]
Ids = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(fail_fast=True)]


class TokenizeBody(Body):
    """llama-server says `content` and adds no special tokens; vLLM says `prompt` and does."""

    model: Model = DEFAULT
    content: str | None = None
    prompt: str | None = None
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    parse_special: bool = True
    with_pieces: bool = False
    return_token_strs: bool = False

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        if (self.content is None) == (self.prompt is None):
            raise ValueError("'content', 'prompt' or 'messages' is required, and one of them only")
        return self

    @property
    def request(self) -> TokenizeRequest:
        said = (self.add_special, self.add_special_tokens, self.prompt is not None)
        return TokenizeRequest(
            model=self.model,
            text=self.content if self.content is not None else self.prompt or "",
            add_special=next(value for value in said if value is not None),
            parse_special=self.parse_special,
        )


class DetokenizeBody(Body):
    model: Model = DEFAULT
    tokens: Ids
