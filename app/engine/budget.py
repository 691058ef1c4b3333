"""How many prompt tokens a step may hold while streams are running.

A step keeps every running stream waiting until it ends, so its length is the gap between two
tokens.
"""

from app.engine.step_times import StepTimes

# the tile of llama.cpp's CPU attention kernel: fewer rows are computed one by one
_TILE = 64


class PrefillBudget:
    def __init__(self, times: StepTimes, *, target_seconds: float, start: int, most: int) -> None:
        """`target_seconds`: wanted time of a step with running streams, 0 for no bound. `start`:
        tokens until there is a measurement; `most`: tokens that a step can hold."""
        self._times = times
        self._target = target_seconds
        self._start = min(start, most)
        self._most = most

    def tokens(self, rows: int) -> int:
        """The budget beside `rows` rows of decoding sequences: whole tiles, at least one."""
        if not rows or not self._target:
            return self._most
        if self._times.prompt_token is None:
            return self._start
        room = (self._target - self._times.decode(rows)) / self._times.prompt_token
        tiles = int(room) // _TILE
        return min(max(tiles, 1) * _TILE, self._most)
