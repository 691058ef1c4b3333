"""Our pooling against llama.cpp's own, on real decoders and encoders."""

import asyncio

import numpy as np
import pytest

from app.core.errors import QueueFull
from app.engine.embedder import Embedder
from app.llama.embedding import EmbeddingOptions, EmbeddingRuntime
from app.llama.model import Model
from tests.llama.pooled import pool

TEXT = "the llamas look out of the pen and see the other llamas "


def tokens_of(model: Model, text: str) -> list[int]:
    return model.vocabulary.tokenize(text, add_special=True, parse_special=False)


def reference(model: Model, tokens: list[int]) -> np.ndarray:
    """The unit vector llama.cpp itself pools, with the pooling the model declares."""
    pooled = np.array(pool(model, tokens, model.embedding_size), np.float32)
    return pooled / np.linalg.norm(pooled)


def test_an_encoder_gives_llama_cpps_own_vector(encoder_model: Model) -> None:
    assert not encoder_model.is_causal
    runtime = EmbeddingRuntime(encoder_model, EmbeddingOptions(max_tokens=512, threads=1))
    try:
        tokens = tokens_of(encoder_model, TEXT)
        ours = runtime.embed(tokens)
        assert runtime.pooling == encoder_model.pooling
        assert float(ours @ reference(encoder_model, tokens)) > 0.9999
        other = runtime.embed(tokens_of(encoder_model, "you can write two words"))
        assert float(ours @ other) < 0.999, "negative control"
        longest = (tokens * 60)[:512]
        assert np.isfinite(runtime.embed(longest)).all()
    finally:
        runtime.close()


def test_a_decoder_pools_an_input_longer_than_its_chunk(builtin_model: Model) -> None:
    runtime = EmbeddingRuntime(builtin_model, EmbeddingOptions(max_tokens=2048, threads=1))
    small = EmbeddingRuntime(builtin_model, EmbeddingOptions(max_tokens=512, threads=1))
    try:
        tokens = tokens_of(builtin_model, TEXT * 200)[:1300]
        vector = runtime.embed(tokens)
        assert vector.shape == (builtin_model.embedding_size,)
        assert np.isclose(np.linalg.norm(vector), 1.0, atol=1e-5)
        assert np.allclose(runtime.embed(tokens), vector, atol=1e-5), "the cache is cleared"
        short = tokens[:400]
        assert float(runtime.embed(short) @ small.embed(short)) > 0.999
    finally:
        runtime.close()
        small.close()


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
def test_pooling_can_be_chosen(builtin_model: Model, pooling: str) -> None:
    runtime = EmbeddingRuntime(
        builtin_model,
        EmbeddingOptions(max_tokens=512, threads=1, pooling=pooling),  # pyright: ignore[reportArgumentType]
    )
    try:
        assert runtime.pooling == pooling
        assert np.isclose(np.linalg.norm(runtime.embed([5, 6, 7])), 1.0, atol=1e-5)
    finally:
        runtime.close()


async def test_requests_take_turns_and_the_queue_is_bounded(builtin_model: Model) -> None:
    runtime = EmbeddingRuntime(builtin_model, EmbeddingOptions(max_tokens=512, threads=1))
    embedder = Embedder(runtime, name="test", max_queue=12)
    large = asyncio.create_task(embedder.embed([[i, i + 1] for i in range(10, 20)]))
    await asyncio.sleep(0)
    small = asyncio.create_task(embedder.embed([[30, 31]]))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await embedder.embed([[1]] * 12)
    await small
    assert not large.done(), "a small request waits for one input, not for all of them"
    assert (await large).shape == (10, builtin_model.embedding_size)
    await embedder.close()
