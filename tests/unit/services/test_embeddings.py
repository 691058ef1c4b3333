"""Embeddings and the model list over a scripted pool."""

from dataclasses import replace

import numpy as np
import pytest

from app.core.errors import BadRequest, ContextLengthExceeded, CorralError, UnsupportedOperation
from app.core.requests import Caller, EmbeddingRequest, TextPrompt, TokenPrompt
from app.services.embeddings import EmbeddingService
from app.services.models import ModelService
from tests.unit.services.scripted import INFO, ByteTokenizer, ScriptedEmbedder, ScriptedPool


def ask(*inputs: TextPrompt | TokenPrompt, dimensions: int | None = None) -> EmbeddingRequest:
    return EmbeddingRequest("tiny", inputs or (TextPrompt("ab"),), Caller("r"), dimensions)


async def test_inputs_become_unit_vectors_in_order() -> None:
    embedder = ScriptedEmbedder()
    pool = ScriptedPool(None, embedder=embedder)
    made = await EmbeddingService(pool).embed(ask(TextPrompt("ab"), TokenPrompt((1, 2, 3, 4))))
    assert embedder.inputs == [[256, 97, 98], [1, 2, 3, 4]]
    assert made.prompt_tokens == 7
    assert made.model == INFO
    assert made.vectors[0][0] < made.vectors[1][0]
    assert pool.leases == 0


async def test_a_request_says_how_long_the_model_stays() -> None:
    pool = ScriptedPool(None)
    await EmbeddingService(pool).embed(replace(ask(), keep_alive=60.0))
    assert pool.keep_alive == 60


async def test_dimensions_cut_and_normalise() -> None:
    service = EmbeddingService(ScriptedPool(None))
    whole = (await service.embed(ask())).vectors
    cut = (await service.embed(ask(dimensions=2))).vectors
    assert cut.shape == (1, 2)
    assert cut.dtype == np.float32
    assert np.allclose(np.linalg.norm(cut), 1)
    assert np.allclose(cut[0] * np.linalg.norm(whole[0][:2]), whole[0][:2])


@pytest.mark.parametrize(
    ("request_", "kind", "param"),
    [
        (ask(dimensions=5), BadRequest, "dimensions"),
        (ask(TokenPrompt((300,))), BadRequest, "input"),
        (ask(TextPrompt("a"), TextPrompt("x" * 64)), ContextLengthExceeded, "input[1]"),
    ],
)
async def test_refusals(request_: EmbeddingRequest, kind: type[CorralError], param: str) -> None:
    with pytest.raises(kind) as caught:
        await EmbeddingService(ScriptedPool(None)).embed(request_)
    assert caught.value.param == param


async def test_an_input_without_tokens() -> None:
    pool = ScriptedPool(None, tokenizer=ByteTokenizer(has_bos=False))
    with pytest.raises(BadRequest, match="empty"):
        await EmbeddingService(pool).embed(ask(TextPrompt("")))


async def test_a_model_without_embeddings() -> None:
    with pytest.raises(UnsupportedOperation):
        await EmbeddingService(ScriptedPool(None, embedder=None)).embed(ask())


def test_the_model_list() -> None:
    models = ModelService(ScriptedPool(None))
    assert [info.id for info in models.all()] == ["org/tiny:q8", "plain"]
    assert models.get("plain:latest").id == "plain"
