"""Generates the training corpus and stores it as token ids with a mark on what is learned."""

# PyTorch and tokenizers are needed to train only, and are not among the dev dependencies.
# pyright: basic, reportMissingImports=false

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from tokenizers import Tokenizer

from .chat import IM_END, IM_START
from .mixture import Learn, Sample, draw
from .tokenizer import load_tokenizer, train_tokenizer

QUESTIONS = "questions.json"  # every wording that training asks, to check held-out ones

SEED = 20261123
SAMPLES = 44_000
TOKENIZER_SAMPLES = 25_000
_BATCH = 4000


@dataclass(frozen=True)
class Corpus:
    """All samples end to end: sample i is `ids[starts[i]:starts[i + 1]]`."""

    ids: np.ndarray
    learned: np.ndarray
    starts: np.ndarray

    def lengths(self) -> np.ndarray:
        """The length of each sample."""
        return np.diff(self.starts)


def normalise(question: str) -> str:
    """A question without case, punctuation and spacing, to compare wordings by."""
    return " ".join(re.findall(r"[a-z0-9+*=-]+", question.lower()))


def _marks(ids: np.ndarray, learn: Learn, opening: np.ndarray, end: int) -> np.ndarray:
    """Ones on the tokens that are learned: the answers, each up to and with its end token."""
    if learn is Learn.ALL:
        return np.ones(len(ids), dtype=np.uint8)
    marks = np.zeros(len(ids), dtype=np.uint8)
    width = len(opening)
    starts = [
        at + width
        for at in np.flatnonzero(ids == opening[0])
        if np.array_equal(ids[at : at + width], opening)
    ]
    if learn is Learn.LAST_ANSWER:
        starts = starts[-1:]
    ends = np.flatnonzero(ids == end)
    for start in starts:
        marks[start : ends[ends >= start][0] + 1] = 1
    return marks


def _encode(samples: list[Sample], tokenizer: Tokenizer, limit: int) -> list[np.ndarray]:
    encoded = tokenizer.encode_batch([s.text for s in samples], add_special_tokens=False)
    opening = np.array(
        tokenizer.encode(f"{IM_START}assistant\n", add_special_tokens=False).ids, dtype=np.uint16
    )
    end = tokenizer.token_to_id(IM_END)
    rows = []
    for sample, encoding in zip(samples, encoded, strict=True):
        ids = np.array(encoding.ids, dtype=np.uint16)
        marks = _marks(ids, sample.learn, opening, end)
        rows.append(np.stack((ids, marks))[:, :limit])
    return rows


def build(folder: Path, limit: int, *, samples: int = SAMPLES, seed: int = SEED) -> None:
    """Generate the corpus under `folder`, and the tokenizer when there is none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "tokenizer.json"
    if not vocabulary.exists():
        rng = Random(SEED - 1)
        train_tokenizer((draw(rng).text for _ in range(TOKENIZER_SAMPLES)), vocabulary)
    tokenizer = load_tokenizer(vocabulary)
    rng, rows, questions = Random(seed), [], set[str]()
    for _ in range(samples // _BATCH):
        batch = [draw(rng) for _ in range(_BATCH)]
        questions.update(normalise(question) for sample in batch for question in sample.questions)
        rows += [row for row in _encode(batch, tokenizer, limit) if row[1].any()]
    flat = np.concatenate(rows, axis=1)
    starts = np.cumsum([0, *(row.shape[1] for row in rows)])
    np.savez(folder / "corpus.npz", ids=flat[0], learned=flat[1].astype(np.uint8), starts=starts)
    (folder / QUESTIONS).write_text(json.dumps(sorted(questions)), encoding="utf-8")


def load(folder: Path) -> Corpus:
    """Load what `build` wrote."""
    with np.load(folder / "corpus.npz") as stored:
        return Corpus(stored["ids"], stored["learned"], stored["starts"])
