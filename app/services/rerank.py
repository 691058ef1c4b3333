"""Documents in the order of their relevance to a query."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from app.core.errors import BadRequest, ContextLengthExceeded, UnsupportedOperation
from app.core.models import ModelInfo
from app.core.requests import RerankRequest
from app.engine.embedder import Embedder
from app.pool.loaded import LoadedModel, Tokenizer
from app.services.adapters import refuse_adapter
from app.services.ports import ModelPool
from app.services.threads import run_in_thread


@dataclass(frozen=True, slots=True)
class Ranking:
    """`scores` stand in the order of the request's documents: 0 to 1 by a model that was made for
    it; else (`is_by_embeddings`) the cosine between the vectors of query and document, -1 to 1."""

    model: ModelInfo
    scores: tuple[float, ...]
    prompt_tokens: int
    is_by_embeddings: bool

    def best(self, count: int | None = None) -> list[tuple[int, float]]:
        """Index and score of the best documents; equal ones keep their order."""
        ranked = sorted(enumerate(self.scores), key=lambda item: -item[1])
        return ranked[:count]


class RerankService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def first_ranker(self) -> str | None:
        """The model that answers requests which name none."""
        ranking = (info.id for info in self._pool.models() if "rerank" in info.capabilities)
        return next(ranking, None)

    async def rank(self, request: RerankRequest) -> Ranking:
        """Raises BadRequest and its kin, and what a lease raises."""
        refuse_adapter(self._pool.find(request.model))
        async with self._pool.lease(request.model) as loaded:
            judge = loaded.ranker or loaded.embedder
            if judge is None:
                raise UnsupportedOperation(
                    f"The model '{loaded.info.id}' ranks nothing and makes no embeddings.",
                    param="model",
                )
            make = _make_pairs if loaded.ranker is not None else _make_texts
            inputs = await run_in_thread(partial(make, request, loaded, judge))
            vectors = await judge.embed(inputs)
        # by embeddings, the query is the last input
        scores = vectors[:, 0] if loaded.ranker is not None else vectors[:-1] @ vectors[-1]
        return Ranking(
            model=loaded.info,
            scores=tuple(np.asarray(scores, np.float64).tolist()),
            prompt_tokens=sum(map(len, inputs)),
            is_by_embeddings=loaded.ranker is None,
        )


def _make_pairs(request: RerankRequest, loaded: LoadedModel, judge: Embedder) -> list[list[int]]:
    documents = _cut_documents(request, loaded.tokenizer)
    if loaded.rank_template is not None:
        pairs = [_fill(loaded.rank_template, request.query, text) for text in documents]
        inputs = [
            loaded.tokenizer.tokenize(text, add_special=False, parse_special=True) for text in pairs
        ]
    else:
        before, between, after = loaded.tokenizer.separators
        query = [*before, *_plain(loaded.tokenizer, request.query), *between]
        inputs = [[*query, *_plain(loaded.tokenizer, text), *after] for text in documents]
    return _checked(inputs, judge)


def _make_texts(request: RerankRequest, loaded: LoadedModel, judge: Embedder) -> list[list[int]]:
    """The documents, then the query."""
    texts = [*_cut_documents(request, loaded.tokenizer), request.query]
    made = [loaded.tokenizer.tokenize(t, add_special=True, parse_special=False) for t in texts]
    return _checked(made, judge)


def _fill(template: str, query: str, document: str) -> str:
    """Each is put in as it is: a placeholder that is written in one of them stays there."""
    return document.join(part.replace("{query}", query) for part in template.split("{document}"))


def _plain(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.tokenize(text, add_special=False, parse_special=False)


def _cut_documents(request: RerankRequest, tokenizer: Tokenizer) -> list[str]:
    limit = request.document_tokens
    if limit is None:
        return list(request.documents)
    # no token is without a byte: a text of so few characters is short enough
    return [
        text
        if len(text.encode()) <= limit
        else tokenizer.detokenize(_plain(tokenizer, text)[:limit])
        for text in request.documents
    ]


def _checked(inputs: list[list[int]], judge: Embedder) -> list[list[int]]:
    """Raises ContextLengthExceeded for what is longer than the model reads."""
    for index, ids in enumerate(inputs):
        if not ids:
            raise BadRequest("The query and a document are empty.", param=f"documents[{index}]")
        if len(ids) > judge.max_tokens:
            raise ContextLengthExceeded(
                n_prompt_tokens=len(ids), n_ctx=judge.max_tokens, param=f"documents[{index}]"
            )
    return inputs
