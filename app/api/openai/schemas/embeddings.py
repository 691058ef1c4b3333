"""The body of `POST /v1/embeddings`."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.openai.schemas.completions import Inputs
from app.api.schema import Body


class EmbeddingBody(Body):
    model: Annotated[str, Field(min_length=1, max_length=512)]
    input: Inputs
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None
