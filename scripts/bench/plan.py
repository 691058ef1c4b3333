"""Which servers run which workloads in a round."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.bench.command import WORKLOAD_NAMES
from scripts.bench.servers import Server, corral, corral_slots, llama_flags, llama_server
from scripts.bench.sessions import Session
from scripts.bench.targets import CORRAL, CORRAL_SPLIT, PEER, PEER_SPLIT

BUILT_IN = Path("app/catalog/builtin/corral-tiny.gguf")
STREAMS = (1, 4, 8, 16)
SMALL_STREAMS = (1, 32)
CROWD_CELLS = 4096
"""Less than the histories of 24 chats need."""
SMALL = "small-decode"
SMALL_TIMES = 5
"""As many requests: one takes a fraction of a second."""
CROWD = "crowded-chats"
SPLIT = ("decode", "prefill", "multi-turn", "sampling")
"""Workloads that a server may do better when each slot has cells of its own."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is to run. Model files are copied below `folders`, where Corral finds them.

    Without `binary` there is no llama-server, without `small` no small model.
    """

    model: Path
    small: Path | None
    binary: Path | None
    folders: Path
    threads: int

    def groups(self, workloads: Sequence[str]) -> list[list[Session]]:
        """The sessions of a round, by whose servers take turns."""
        return [
            list(sessions)
            for sessions in (self._main(workloads), self._crowd(workloads), self._small(workloads))
        ]

    def _main(self, workloads: Sequence[str]) -> Iterator[Session]:
        names = tuple(name for name in workloads if name in WORKLOAD_NAMES and name != CROWD)
        for server in (self._corral(self.model), *self._peer(self.model, llama_flags(16))):
            yield Session(server, self.model, names, STREAMS, has_facts=True)
        split = tuple(name for name in names if name in SPLIT)
        for server in self._split(self.model, 16) if split else ():
            yield Session(server, self.model, split, STREAMS[-1:])

    def _crowd(self, workloads: Sequence[str]) -> Iterator[Session]:
        """Eight sequences, and too few cells for all histories."""
        if CROWD not in workloads:
            return
        few = corral_slots(8, CROWD_CELLS)
        peer = self._peer(self.model, llama_flags(8, CROWD_CELLS))
        for server in (self._corral(self.model, few), *peer):
            yield Session(server, self.model, (CROWD,), STREAMS)

    def _small(self, workloads: Sequence[str]) -> Iterator[Session]:
        """A model so small that the server itself is a large part of the time."""
        if self.small is None or SMALL not in workloads:
            return
        peer = self._peer(self.small, llama_flags(32))
        whole = [self._corral(self.small, corral_slots(32)), *peer]
        split = self._split(self.small, 32)
        for servers, streams in ((whole, SMALL_STREAMS), (split, SMALL_STREAMS[-1:])):
            for server in servers:
                yield Session(
                    server, self.small, ("decode",), streams, prefix="small-", times=SMALL_TIMES
                )

    def _split(self, model: Path, slots: int) -> list[Server]:
        """Corral and its peer with an equal part of the cells for each slot."""
        mine = self._corral(model, corral_slots(slots, unified=False), CORRAL_SPLIT)
        return [mine, *self._peer(model, llama_flags(slots, unified=False), PEER_SPLIT)]

    def _corral(
        self, model: Path, extra: dict[str, str] | None = None, label: str = CORRAL
    ) -> Server:
        folder = self.folders / model.stem
        if not folder.exists():
            folder.mkdir()
            if model.resolve() != BUILT_IN.resolve():
                shutil.copy(model, folder)
        return corral(folder, self.threads, extra, label)

    def _peer(self, model: Path, flags: list[str], label: str = PEER) -> list[Server]:
        if self.binary is None:
            return []
        return [llama_server(self.binary, model, self.threads, flags, label)]
