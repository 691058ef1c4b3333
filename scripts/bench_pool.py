"""Measure how long a model takes to be there: hot, warm, and from the disk.

    python -m scripts.bench_pool MODEL.gguf --context-size 8192

The pool, the loader and llama.cpp are the real ones. A lookup is a lease of a model that is hot.
Before each cold load the file leaves the system's cache, as before the plain read of it that stands
beside. A load is given with its contexts, as callers wait for it, and until its weights are read.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

import click

from app.catalog.entries import ModelEntry, build_catalog
from app.cli.hugepages import begin_with_huge_pages
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.models import ModelInfo, ModelState
from app.engine.prefix.store import PrefixStore
from app.llama import library
from app.pool.describe import describe
from app.pool.loader import LlamaLoader
from app.pool.pool import ModelPool
from app.pool.refusals import show_bytes
from app.pool.room import Room
from app.telemetry.metrics import Metrics

LOOKUPS = 2000
_BLOCK = 2**22
_PLENTY = 2**50


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--context-size", default=8192, show_default=True, help="Tokens of the KV cache.")
@click.option("--max-sequences", default=32, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--runs", default=5, show_default=True, help="Of each; the median is shown.")
def main(model: Path, context_size: int, max_sequences: int, threads: int, runs: int) -> None:
    """Print the times of MODEL."""
    begin_with_huge_pages()
    library.init(lambda _level, _line: None)
    settings = Settings(
        use_gpu="off",
        context_size=context_size,
        max_sequences=max_sequences,
        threads=threads,
        try_new_files=False,
    )
    asyncio.run(_measure(settings, model.absolute(), runs))


async def _measure(settings: Settings, model: Path, runs: int) -> None:
    manifest = Manifest.model_validate(
        {"builtin": False, "models": [{"id": "m", "source": str(model)}]}
    )
    (entry,) = build_catalog(manifest, model.parent, model.parent, discovers=False)
    pool = _make_pool(settings, entry)
    pool.start()
    try:
        reads = [_read(model) for _ in range(runs)]
        colds: list[float] = []
        for _ in range(runs):
            await pool.unload("m")
            _forget(model)
            colds.append(await _timed(partial(pool.load, "m")))
        footprint = pool.find("m").memory or 0
        lookups = [await _timed(partial(_lease, pool)) for _ in range(LOOKUPS)]
    finally:
        await pool.close()
    warms, cools, weights = await _measure_warm(settings, entry, runs)
    click.echo(f"{model.name}: {show_bytes(entry.size)} of weights, {show_bytes(footprint)} hot")
    _show("hot lookup", lookups)
    _show("warm to hot", warms)
    _show("hot to warm", cools)
    _show("cold load", colds)
    _show("cold load, weights only", weights)
    _show("plain read of the file", reads)


async def _measure_warm(
    settings: Settings, entry: ModelEntry, runs: int
) -> tuple[list[float], list[float], list[float]]:
    """Seconds to heat, to cool, and until the weights of a cold file were read."""
    shares: list[float] = []
    loader = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    weights: list[float] = []
    for _ in range(runs):
        _forget(entry.path)
        started = time.perf_counter()
        shares.clear()
        resident = await loader.load(entry, lambda _: shares.append(time.perf_counter()))
        weights.append(shares[-1] - started)
        await resident.close()
    resident = await loader.load(entry, lambda _: None)
    cools = [await _timed(resident.cool)]
    warms: list[float] = []
    for _ in range(runs):
        warms.append(await _timed(resident.heat))
        cools.append(await _timed(resident.cool))
    await resident.close()
    return warms, cools, weights


def _make_pool(settings: Settings, entry: ModelEntry) -> ModelPool:
    def describe_entry(one: ModelEntry, state: ModelState, error: str | None) -> ModelInfo:
        return describe(one, settings, state, error)

    loader = LlamaLoader(settings, lambda _: lambda _: None, PrefixStore(0))
    limit = Room(1, _PLENTY)
    return ModelPool((entry,), loader, describe_entry, Metrics(), limit=limit, load_timeout=600)


async def _lease(pool: ModelPool) -> None:
    async with pool.lease("m"):
        pass


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def _read(model: Path) -> float:
    _forget(model)
    started = time.perf_counter()
    with model.open("rb", buffering=0) as file:
        while file.read(_BLOCK):
            pass
    return time.perf_counter() - started


def _forget(model: Path) -> None:
    """Have a file leave the system's cache."""
    with model.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _show(what: str, seconds: list[float]) -> None:
    said = f"{median(seconds) * 1000:10.3f} ms, best {min(seconds) * 1000:10.3f} ms"
    click.echo(f"{what:26} {said} of {len(seconds)}")


if __name__ == "__main__":
    main()
