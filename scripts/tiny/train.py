"""Trains the model on the CPU for a given number of minutes."""

# PyTorch and tokenizers are needed to train only, and are not among the dev dependencies.
# pyright: basic, reportMissingImports=false

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .corpus import Corpus
from .model import TinyConfig, TinyLlama

SEED = 7
MICRO_TOKENS = 3072
MICRO_BATCHES = 2
WIDTHS = (48, 64, 96, 128, 192, 256, 384, 768)
MATRIX_RATE = 4e-3
OTHER_RATE = 3e-3
WARMUP_STEPS = 40
DECAY_FROM = 0.55
CHECKPOINT_SECONDS = 150


@dataclass
class Progress:
    """How far training has come."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = 0.0


def _optimisers(model: TinyLlama) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "blk" in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "blk" not in name]
    return [
        torch.optim.Muon(
            matrices, lr=MATRIX_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _rate(step: int, done: float) -> float:
    """The learning rate's factor: warm up, hold, then fall to zero at the end of the budget."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    left = min(1.0, max(0.0, (1.0 - done) / (1.0 - DECAY_FROM)))
    return warm * max(left, 0.01)


def _groups(corpus: Corpus, seed: int) -> Iterator[tuple[int, list[int]]]:
    """Endless groups of samples that fill one micro-batch, each with its width."""
    rng, lengths = np.random.default_rng(seed), corpus.lengths()
    waiting: dict[int, list[int]] = {width: [] for width in WIDTHS}
    while True:
        for index in rng.permutation(len(lengths)):
            width = next(width for width in WIDTHS if lengths[index] <= width + 1)
            waiting[width].append(int(index))
            if len(waiting[width]) == MICRO_TOKENS // width:
                yield width, waiting[width]
                waiting[width] = []


def _pad(corpus: Corpus, width: int, group: list[int]) -> tuple[Tensor, Tensor]:
    """Ids and marks; every micro-batch has one of a few shapes, so that kernels are reused."""
    ids = np.zeros((len(group), width + 1), dtype=np.int64)
    marks = np.zeros((len(group), width + 1), dtype=np.int64)
    for row, index in enumerate(group):
        start, stop = corpus.starts[index], corpus.starts[index + 1]
        ids[row, : stop - start] = corpus.ids[start:stop]
        marks[row, : stop - start] = corpus.learned[start:stop]
    return torch.from_numpy(ids), torch.from_numpy(marks)


def _gradients(
    model: TinyLlama, ids: Tensor, marks: Tensor, learned: int
) -> tuple[float, tuple[Tensor, ...]]:
    """The share of one micro-batch in the step's mean loss, and its gradients."""
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        loss = model.loss(ids, marks) / learned
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


def _step(
    model: TinyLlama,
    corpus: Corpus,
    groups: Iterator[tuple[int, list[int]]],
    workers: ThreadPoolExecutor,
) -> tuple[float, int]:
    """Gradients of one step, a micro-batch a thread; the mean loss, and the tokens it read."""
    padded = [_pad(corpus, *group) for group in islice(groups, MICRO_BATCHES)]
    learned = sum(int(marks[:, 1:].sum()) for _, marks in padded)
    jobs = [workers.submit(_gradients, model, ids, marks, learned) for ids, marks in padded]
    parts = [job.result() for job in jobs]
    for index, parameter in enumerate(model.parameters()):
        parameter.grad = sum((grads[index] for _, grads in parts[1:]), parts[0][1][index])
    return sum(loss for loss, _ in parts), sum(int((ids > 0).sum()) for ids, _ in padded)


def save(path: Path, model: TinyLlama, optimisers: list[Any], progress: Progress) -> None:
    """Write a checkpoint by way of a neighbouring file."""
    partial = path.with_suffix(".partial")
    state = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "progress": vars(progress),
    }
    torch.save(state, partial)
    partial.replace(path)


def load_model(path: Path) -> tuple[TinyLlama, Progress]:
    """The model of a checkpoint and how far it had come."""
    state = torch.load(path, weights_only=True)
    model = TinyLlama(TinyConfig())
    model.load_state_dict(state["model"])
    return model, Progress(**state["progress"])


def _resume(path: Path, model: TinyLlama, optimisers: list[Any]) -> Progress:
    if not path.exists():
        return Progress()
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimiser, stored in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(stored)
    return Progress(**state["progress"])


def train(folder: Path, corpus: Corpus, minutes: float, threads: int) -> TinyLlama:
    """Train until `minutes` of training have passed, resuming from a checkpoint in `folder`."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    workers = ThreadPoolExecutor(threads)
    model = TinyLlama(TinyConfig())
    optimisers = _optimisers(model)
    base = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    path = folder / "checkpoint.pt"
    progress = _resume(path, model, optimisers)
    budget, begun, saved = minutes * 60, time.monotonic() - progress.seconds, time.monotonic()
    groups = _groups(corpus, SEED + progress.step)
    while progress.seconds < budget:
        factor = _rate(progress.step, progress.seconds / budget)
        for optimiser, rate in zip(optimisers, base, strict=True):
            optimiser.param_groups[0]["lr"] = rate * factor
        loss, tokens = _step(model, corpus, groups, workers)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += tokens
        progress.seconds = time.monotonic() - begun
        progress.loss = loss if progress.step == 1 else 0.95 * progress.loss + 0.05 * loss
        if progress.step % 20 == 0:
            print(
                f"step {progress.step} loss {progress.loss:.4f} tokens {progress.tokens} "
                f"seconds {progress.seconds:.0f} rate {factor:.3f}",
                flush=True,
            )
        if time.monotonic() - saved > CHECKPOINT_SECONDS or progress.seconds >= budget:
            save(path, model, optimisers, progress)
            saved = time.monotonic()
    return model
