"""Whose turn it is: fair shares of the engine's work among owners of waiting sequences.

Start-time fair queueing (Goyal, Vin and Cheng, 1996) over tokens: every owner has a clock that
advances with the tokens computed for it, and the owner whose clock is behind goes first. Who comes
back after a pause has saved up nothing, and still owes what it had beyond the others' share.
Priorities are queues of their own: each has its clocks.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Share(NamedTuple):  # looked up for each token: hashing a dataclass takes longer
    """What an owner has at one priority."""

    priority: int
    owner: str | None


class FairShare:
    def __init__(self) -> None:
        self._served: dict[Share, int] = {}

    def clock(self, share: Share) -> int:
        """Tokens computed for a share, counted from where the others stood when it came."""
        return self._served.get(share, 0)

    def enter(self, share: Share, waiting: Iterable[Share]) -> None:
        """A sequence begins to wait. `waiting`: the shares of those that wait already. Where nobody
        does, everybody has had all that was asked for, and clocks start anew."""
        now: dict[int, int] = {}  # the clock furthest behind, by priority
        rivals = set(waiting)
        for rival in rivals:
            clock = self.clock(rival)
            now[rival.priority] = min(now.get(rival.priority, clock), clock)
        self._served = {
            known: count
            for known, count in self._served.items()
            if known in rivals or (known.priority in now and count > now[known.priority])
        }
        if share not in rivals:
            self._served[share] = max(self.clock(share), now.get(share.priority, 0))

    def charge(self, share: Share, tokens: int) -> None:
        self._served[share] = self.clock(share) + tokens
