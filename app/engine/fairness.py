"""Whose turn it is: fair shares of the engine's work among owners of waiting sequences.

Start-time fair queueing (Goyal, Vin and Cheng, 1996) over tokens: every owner has a clock that
advances with the tokens computed for it, and the owner whose clock is behind goes first. Who comes
back after a pause has saved up nothing.
"""

from collections.abc import Iterable


class FairShare:
    def __init__(self) -> None:
        self._served: dict[str | None, int] = {}

    def clock(self, owner: str | None) -> int:
        """Tokens computed for an owner, counted from where the others stood when it came."""
        return self._served.get(owner, 0)

    def enter(self, owner: str | None, present: Iterable[str | None]) -> None:
        """An owner has work. `present`: owners, it may be among them, that had some before."""
        others = set(present)
        if owner in others:
            return
        self._served = {name: count for name, count in self._served.items() if name in others}
        self._served[owner] = min(self._served.values(), default=0)

    def charge(self, owner: str | None, tokens: int) -> None:
        self._served[owner] = self._served.get(owner, 0) + tokens
