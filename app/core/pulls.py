"""How far a download has come, for whoever shows it."""

from dataclasses import dataclass
from typing import Literal

from app.core.errors import CorralError

PullStage = Literal["waiting", "resolving", "downloading", "verifying", "done"]
PullOutcome = Literal["done", "failed", "cancelled"]
JobStage = Literal[
    "queued", "waiting", "resolving", "downloading", "verifying", "finishing", PullOutcome
]


@dataclass(frozen=True, slots=True)
class PullProgress:
    """`file`: the name of the file. `done` of `size` bytes are here; `size` None: not known yet.
    `waiting`: another process downloads it. `sha256` is known when it is done, and as soon as the
    hub has told it."""

    file: str
    stage: PullStage
    done: int = 0
    size: int | None = None
    sha256: str | None = None

    @property
    def here(self) -> int:
        """Bytes that are here. `done` counts anew while they are verified."""
        is_whole = self.stage in {"verifying", "done"}
        return self.size if is_whole and self.size is not None else self.done


@dataclass(frozen=True, slots=True)
class PullJob:
    """A model that the server brings here, as it stands.

    `model` is what was asked for, `name` what it is served as, known at the end. `queued`: others
    are downloaded first; `finishing`: all files are here, and the list of models is read again.
    `files` holds one for each file. Times in Unix seconds; `error` says why it failed or was
    cancelled.
    """

    id: str
    model: str
    stage: JobStage
    files: tuple[PullProgress, ...]
    created: float
    ended: float | None = None
    name: str | None = None
    error: CorralError | None = None

    @property
    def is_over(self) -> bool:
        return self.ended is not None

    @property
    def done(self) -> int:
        """Bytes that are here, of all files together; a file that is verified counts whole."""
        return sum(file.here for file in self.files)

    @property
    def size(self) -> int | None:
        """Bytes of all files together; None while one's is not known."""
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None

    @property
    def share(self) -> float | None:
        """The share of the bytes that is here, 0 to 1; None while it is not known."""
        return self.done / self.size if self.size else None
