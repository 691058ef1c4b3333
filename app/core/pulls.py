"""How far a download has come, for whoever shows it."""

from dataclasses import dataclass
from typing import Literal

PullStage = Literal["waiting", "resolving", "downloading", "verifying", "done"]


@dataclass(frozen=True, slots=True)
class PullProgress:
    """`file`: the name of the file. `done` of `size` bytes are here; `size` None: not known yet.
    `waiting`: another process downloads it. `sha256` is known when it is done."""

    file: str
    stage: PullStage
    done: int = 0
    size: int | None = None
    sha256: str | None = None
