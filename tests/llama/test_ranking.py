"""Scores of pairs against llama.cpp's own graph, on an encoder and a decoder."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.llama import embedding
from app.llama.bindings import lib
from app.llama.embedding import EmbeddingOptions
from app.llama.model import Model, ModelOptions
from app.llama.ranking import RankingRuntime
from scripts.make_gguf import write_causal_reranker, write_reranker
from tests.llama.pooled import pool

OPTIONS = EmbeddingOptions(max_tokens=512, threads=1)
TEXT = "the llamas look out of the pen and see the other llamas "


@pytest.fixture(scope="module", params=[write_reranker, write_causal_reranker])
def model(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    write: Callable[[Path], Path] = request.param
    path = write(tmp_path_factory.mktemp("rank") / "model.gguf")
    loaded = Model.load(path, ModelOptions())
    yield loaded
    loaded.close()


def test_a_score_is_llama_cpps_own_as_a_probability(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.is_reranker
    assert not model.is_generator
    tokens = model.vocabulary.tokenize(TEXT * 5, add_special=True, parse_special=False)
    raw = pool(model, tokens, lib.llama_model_n_cls_out(model.handle))
    if model.architecture == "qwen3":
        assert math.isclose(sum(raw), 1.0, abs_tol=1e-5)
        expected = raw[0]
    else:
        expected = 1 / (1 + math.exp(-raw[0]))
    # a decoder takes its input in pieces
    monkeypatch.setattr(embedding, "_DECODER_CHUNK", 32)
    runtime = RankingRuntime(model, OPTIONS)
    try:
        scores = runtime.embed(tokens)
        assert scores.shape == (1,)
        assert abs(float(scores[0]) - expected) < 1e-4
        assert float(runtime.embed(tokens)[0]) == float(scores[0])
        other = runtime.embed(
            model.vocabulary.tokenize(
                "you can write two words", add_special=True, parse_special=False
            )
        )
        assert abs(float(other[0]) - expected) > 1e-3, "negative control"
        assert 0 <= float(other[0]) <= 1
        assert np.isfinite(runtime.embed((tokens * 60)[:512])).all()
    finally:
        runtime.close()


def test_pairs_are_put_together_as_the_file_says(model: Model) -> None:
    before, between, after = model.vocabulary.separators
    if model.architecture == "bert":
        assert model.rank_template is None
        marks = [model.vocabulary.text(token) for token in (*before, *between, *after)]
        assert marks == ["[CLS]", "[SEP]", "[SEP]"]
    else:
        assert model.rank_template is not None
        assert "{query}" in model.rank_template
