"""Ranking over a scripted pool."""

from dataclasses import replace

import numpy as np
import pytest

from app.core.errors import ContextLengthExceeded, UnsupportedOperation
from app.core.requests import RerankRequest
from app.services.rerank import Ranking, RerankService
from tests.unit.services.scripted import INFO, ScriptedEmbedder, ScriptedPool

ASKED = RerankRequest("tiny", "q", ("a", "bb", "c{query}"))


class ScriptedRanker(ScriptedEmbedder):
    """The longer a pair, the better."""

    @property
    def dimensions(self) -> int:
        return 1

    async def embed(self, inputs: list[list[int]]) -> np.ndarray:
        self.inputs += inputs
        return np.array([[len(ids) / 100] for ids in inputs], np.float32)


async def test_pairs_stand_between_the_models_separators() -> None:
    pool = ScriptedPool(None, ranker=ScriptedRanker())
    ranking = await RerankService(pool).rank(ASKED)
    assert pool.ranker is not None
    assert pool.ranker.inputs[0] == [256, ord("q"), 257, ord("a"), 257]
    assert ranking.best() == [
        (2, pytest.approx(0.12)),
        (1, pytest.approx(0.06)),
        (0, pytest.approx(0.05)),
    ]
    assert ranking.best(1)[0][0] == 2
    assert ranking.prompt_tokens == 5 + 6 + 12
    assert not ranking.is_by_embeddings
    assert pool.leases == 0


async def test_a_template_takes_both_texts_as_they_are() -> None:
    pool = ScriptedPool(None, ranker=ScriptedRanker(), rank_template="{query}|{document}")
    await RerankService(pool).rank(replace(ASKED, query="{document}"))
    assert pool.ranker is not None
    assert bytes(pool.ranker.inputs[2]).decode() == "{document}|c{query}"


async def test_documents_may_be_cut() -> None:
    pool = ScriptedPool(None, ranker=ScriptedRanker())
    await RerankService(pool).rank(replace(ASKED, document_tokens=1))
    assert pool.ranker is not None
    assert [len(ids) for ids in pool.ranker.inputs] == [5, 5, 5]


async def test_without_a_ranker_the_vectors_decide() -> None:
    embedder = ScriptedEmbedder()
    ranking = await RerankService(ScriptedPool(None, embedder=embedder)).rank(ASKED)
    assert ranking.is_by_embeddings
    assert embedder.inputs[-1] == [256, ord("q")]
    assert len(ranking.scores) == 3


async def test_refusals() -> None:
    service = RerankService(ScriptedPool(None, embedder=None))
    with pytest.raises(UnsupportedOperation):
        await service.rank(ASKED)
    long = replace(ASKED, documents=("a", "x" * 500))
    with pytest.raises(ContextLengthExceeded) as caught:
        await RerankService(ScriptedPool(None, ranker=ScriptedRanker())).rank(long)
    assert caught.value.param == "documents[1]"


def test_equal_scores_keep_their_order() -> None:
    assert [i for i, _ in Ranking(INFO, (0.5, 0.7, 0.5), 1, False).best()] == [1, 0, 2]
