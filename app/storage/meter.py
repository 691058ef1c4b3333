"""What is measured of a database."""

from typing import Literal, Protocol

Kind = Literal["read", "write"]
Result = Literal["ok", "refused", "unavailable", "abandoned"]


class Meter(Protocol):
    def observe_transaction(self, kind: Kind, result: Result, seconds: float) -> None:
        """`refused`: what was asked for is not there, or not possible; `abandoned`: nobody waits
        for it any more."""
        ...

    def count_deleted(self, kind: str) -> None:
        """A conversation, response or completion left by age or size."""
        ...

    def note_size(self, size: int) -> None:
        """Bytes of all that is kept."""
        ...


class NoMeter:
    """Measures nothing."""

    def observe_transaction(self, kind: Kind, result: Result, seconds: float) -> None: ...

    def count_deleted(self, kind: str) -> None: ...

    def note_size(self, size: int) -> None: ...
