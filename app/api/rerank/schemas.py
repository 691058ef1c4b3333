"""The bodies of the rerank routes."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from app.api.schema import Body, Part


class Document(Part):
    text: str


def _as_document(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


Documents = Annotated[
    list[Annotated[Document, BeforeValidator(_as_document)]], Field(min_length=1, fail_fast=True)
]


class RerankBody(Body):
    """`documents` is Jina's, Cohere's and vLLM's form; `texts` TEI's, which names no model."""

    model: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    query: Annotated[str, Field(min_length=1)]
    documents: Documents | None = None
    texts: Annotated[list[str], Field(min_length=1, fail_fast=True)] | None = None
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False
    max_tokens_per_doc: Annotated[int, Field(ge=1)] | None = None
    return_text: bool = False

    @model_validator(mode="after")
    def _check_documents(self) -> Self:
        if (self.documents is None) == (self.texts is None):
            raise ValueError("'documents' is required, or 'texts' instead")
        if self.documents is not None and self.model is None:
            raise ValueError("'model' is required")
        return self

    @property
    def contents(self) -> tuple[str, ...]:
        if self.texts is not None:
            return tuple(self.texts)
        return tuple(document.text for document in self.documents or ())
