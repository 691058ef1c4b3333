"""Embeddings: from a neutral request to unit vectors."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from app.core.errors import BadRequest, ContextLengthExceeded, UnsupportedOperation
from app.core.models import ModelInfo
from app.core.requests import EmbeddingRequest, TextPrompt, TokenPrompt
from app.engine.embedder import Embedder
from app.pool.loaded import LoadedModel, Tokenizer
from app.services.adapters import refuse_adapter
from app.services.ports import ModelPool
from app.services.threads import run_in_thread
from app.services.tokens import check_tokens


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`vectors` has shape (inputs, dimensions); its rows have length one. `load_seconds` passed
    before the model was there."""

    model: ModelInfo
    vectors: npt.NDArray[np.float32]
    prompt_tokens: int
    load_seconds: float


class EmbeddingService:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        started = time.monotonic()
        info = self._pool.find(request.model)
        refuse_adapter(info)
        async with self._pool.lease(info.id, request.keep_alive) as loaded:
            load_seconds = time.monotonic() - started
            embedder = _embedder_of(loaded)
            _check_dimensions(request.dimensions, embedder.dimensions)
            inputs = await run_in_thread(partial(_tokenize, loaded.tokenizer, request, embedder))
            vectors = await embedder.embed(inputs)
            return Embeddings(
                model=loaded.info,
                vectors=_shorten(vectors, request.dimensions),
                prompt_tokens=sum(len(ids) for ids in inputs),
                load_seconds=load_seconds,
            )


def _embedder_of(loaded: LoadedModel) -> Embedder:
    if loaded.embedder is None:
        raise UnsupportedOperation(
            f"The model '{loaded.info.id}' does not make embeddings.", param="model"
        )
    return loaded.embedder


def _check_dimensions(wanted: int | None, available: int) -> None:
    if wanted is not None and wanted > available:
        raise BadRequest(
            f"'dimensions' is {wanted}, but this model's vectors have {available}.",
            param="dimensions",
        )


def _tokenize(
    tokenizer: Tokenizer, request: EmbeddingRequest, embedder: Embedder
) -> list[list[int]]:
    made: list[list[int]] = []
    for index, prompt in enumerate(request.inputs):
        param = "input" if len(request.inputs) == 1 else f"input[{index}]"
        ids = _ids_of(tokenizer, prompt)
        if not ids:
            raise BadRequest(f"'{param}' is empty.", param=param)
        if len(ids) > embedder.max_tokens and request.truncate:
            ids = _cut(ids, embedder.max_tokens, tokenizer.eos_token)
        if len(ids) > embedder.max_tokens:
            raise ContextLengthExceeded(
                n_prompt_tokens=len(ids), n_ctx=embedder.max_tokens, param=param
            )
        if isinstance(prompt, TokenPrompt):
            check_tokens(ids, tokenizer, param=param)
        made.append(ids)
    return made


def _ids_of(tokenizer: Tokenizer, prompt: TextPrompt | TokenPrompt) -> list[int]:
    if isinstance(prompt, TextPrompt):
        return tokenizer.tokenize(prompt.text, add_special=True, parse_special=False)
    return list(prompt.tokens)


def _cut(ids: list[int], length: int, end: int | None) -> list[int]:
    """The beginning; the token that models put at the end stays there."""
    return [*ids[: length - 1], ids[-1]] if ids[-1] == end else ids[:length]


def _shorten(vectors: npt.NDArray[np.float32], dimensions: int | None) -> npt.NDArray[np.float32]:
    if dimensions is None or dimensions == vectors.shape[1]:
        return vectors
    cut = vectors[:, :dimensions]
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return (cut / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32)
