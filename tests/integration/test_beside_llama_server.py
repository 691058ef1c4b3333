"""The same as llama-server, token for token and vector for vector.

Runs where CORRAL_LLAMA_SERVER names a llama-server binary; the figures are printed with `-s`.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from app.catalog.entries import BUILTIN_PATH
from scripts import compare_tokens
from scripts.bench.servers import llama_server, running
from scripts.make_gguf import write_encoder, write_tiny
from tests.support.server import MODEL, WAIT_SECONDS, Server, serve

BINARY = os.environ.get("CORRAL_LLAMA_SERVER", "")
beside = pytest.mark.skipif(not BINARY, reason="CORRAL_LLAMA_SERVER names no llama-server")
pytestmark = pytest.mark.timeout(600)

INPUTS = [
    "the llama looks out of the pen",
    "you can write two words",
    "a",
    "They were there, and their way was long: 1, 2, 3!",
    "the weather and the grass and the fences " * 20,
]
MODELS = [
    "bert-cls",
    "bert-mean",
    "qwen3-mean",
    "gemma3-mean",
    "mamba-mean",
    "tiny-mean",
    "tiny-last",
]


@beside
@pytest.mark.parametrize("mode", compare_tokens.MODES, ids=lambda mode: mode.name)
def test_greedy_answers_are_the_same(mode: compare_tokens.Mode) -> None:
    asked = ["--llama-server", BINARY, "--mode", mode.name]
    result = CliRunner().invoke(compare_tokens.main, asked)
    assert result.exit_code == 0, result.output
    print(result.output)


@beside
@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_the_same(name: str, tmp_path: Path) -> None:
    architecture, _, pooling = name.partition("-")
    path = tmp_path / "model.gguf"
    if architecture == "bert":
        write_encoder(path, pooling="cls" if pooling == "cls" else "mean")
    elif architecture == "tiny":
        path.write_bytes(BUILTIN_PATH.read_bytes())
    else:
        write_tiny(path, architecture)
    (tmp_path / "models.yaml").write_text(
        f"models: [{{id: model, source: model.gguf, embedding: {{pooling: {pooling}}}}}]\n"
    )
    flags = ["--embeddings", "--pooling", pooling, "-c", "2048", "-b", "2048", "-ub", "2048"]
    with running(llama_server(Path(BINARY), path, 1, flags)) as peer:
        theirs = vectors(peer.url)
    with serve(tmp_path, LLM_DEFAULT_MODEL="model") as server:
        ours = vectors(server.url)
    likeness = (ours * theirs).sum(axis=1)
    assert np.all(1 - likeness < 1e-4), likeness
    assert 1 - float(ours[0] @ theirs[1]) > 1e-3, "negative control"
    print(f"{name}: furthest cosine distance {float((1 - likeness).max()):.1e}")


def test_another_answer_is_noticed(server: Server) -> None:
    """What no model would say is wrong, and so is a mode that did not happen."""
    made_up = [
        compare_tokens.Expected("?", [5 + i, 60, 70], [80], ["no such text"]) for i in range(6)
    ]
    with httpx.Client(base_url=server.url, timeout=WAIT_SECONDS, trust_env=False) as client:
        alone = compare_tokens.MODES[0]
        outcome = compare_tokens.compare(client, MODEL, alone, made_up)
        assert outcome.equal == 0
        assert outcome.wrong
        never = replace(alone, proof="corral_no_such_thing_total")
        assert "did not happen" in compare_tokens.compare(client, MODEL, never, []).wrong[0]


def vectors(url: str) -> npt.NDArray[np.float64]:
    """Of shape (inputs, dimensions), each of length one."""
    body: dict[str, Any] = {"model": "model", "input": INPUTS}
    answer = httpx.post(f"{url}/v1/embeddings", json=body, timeout=WAIT_SECONDS, trust_env=False)
    assert answer.status_code == 200, answer.text
    found = np.array([row["embedding"] for row in answer.json()["data"]])
    return found / np.linalg.norm(found, axis=1, keepdims=True)
