"""Several engines of one model behind the interface of one."""

import asyncio
from collections.abc import Sequence

import numpy as np

from app.core.adapters import AdapterSet
from app.core.errors import EngineFailed, QueueFull
from app.core.stats import EngineStats
from app.engine.engine import Engine, OutputStream
from app.engine.messages import SequenceSpec
from app.engine.prefix.store import ModelPrefixes
from app.engine.prefix.tree import common_prefix
from app.engine.runtime import Int32Array
from app.pool.tally import add_counters, join_replicas, keep_counters

# a prefix counts in steps of so many tokens: less is computed sooner than it is waited for
_STEP = 64


class Replicas:
    """Sends each request to the engine that has the longest beginning of it, then to the one with
    the least to do. On the event loop."""

    def __init__(self, engines: Sequence[Engine], prefixes: ModelPrefixes | None) -> None:
        """`prefixes`: what all of them can take over, for they share one store."""
        self._engines = list(engines)
        self._prefixes = prefixes
        self._running: list[list[tuple[OutputStream, AdapterSet, Int32Array]]]
        self._running = [[] for _ in engines]
        self._past = EngineStats()

    @property
    def stats(self) -> EngineStats:
        """Of all together, each by itself in `replicas`."""
        return join_replicas(self._past, [engine.stats for engine in self._engines])

    @property
    def dead(self) -> tuple[int, ...]:
        """Numbers of the engines that work no more."""
        return tuple(
            index for index, engine in enumerate(self._engines) if not engine.stats.is_alive
        )

    def submit(self, specs: tuple[SequenceSpec, ...]) -> tuple[OutputStream, ...]:
        """As an engine's. One engine takes all of them."""
        prompt = np.array(specs[0].prompt, np.int32)
        refusal: QueueFull | EngineFailed | None = None
        for index in self._rank(prompt, specs[0].adapters, len(specs)):
            try:
                streams = self._engines[index].submit(specs)
            except (QueueFull, EngineFailed) as error:
                refusal = refusal or error
                continue
            self._running[index] += [
                (stream, spec.adapters, np.array(spec.prompt, np.int32))
                for stream, spec in zip(streams, specs, strict=True)
            ]
            return streams
        raise refusal or EngineFailed("The inference engines have stopped; they are reloaded.")

    async def join(self, index: int) -> None:
        """Until a dead engine has freed all that it had. Idempotent."""
        await self._engines[index].close()

    async def replace(self, index: int, engine: Engine) -> None:
        """Let another engine go on for a dead one."""
        old, self._engines[index] = self._engines[index], engine
        self._running[index] = []
        self._past = keep_counters(add_counters(self._past, old.stats))
        await old.close()

    async def close(self) -> None:
        await asyncio.gather(*(engine.close() for engine in self._engines))

    def _rank(self, prompt: Int32Array, adapters: AdapterSet, count: int) -> list[int]:
        """Living engines, the best for `count` sequences that begin with `prompt` first. What was
        computed under other adapters counts for nothing.

        Who is full gets what it has the beginning of only when the others are full as well: a
        system prompt that everybody sends must not leave them idle.
        """
        prefixes = self._prefixes.under(adapters) if self._prefixes is not None else None
        saved = prefixes.match(prompt).usable if prefixes is not None else 0

        def rank(index: int) -> tuple[bool, int, int]:
            engine = self._engines[index]
            is_full = engine.load + count > engine.places
            known = 0 if is_full else max(saved, self._longest_running(index, adapters, prompt))
            return is_full, -(known // _STEP), engine.load

        alive = [index for index, one in enumerate(self._engines) if one.stats.is_alive]
        return sorted(alive, key=rank)

    def _longest_running(self, index: int, adapters: AdapterSet, prompt: Int32Array) -> int:
        """Tokens at the beginning of `prompt` that a running sequence has as well."""
        running = [one for one in self._running[index] if not one[0].is_closed]
        self._running[index] = running
        known = (common_prefix(tokens, prompt) for _, its, tokens in running if its == adapters)
        return max(known, default=0)
