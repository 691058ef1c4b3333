"""How many prompt tokens may be computed between two tokens of running streams.

Every running stream waits meanwhile.
"""

from app.engine.step_times import StepTimes

# the tile of llama.cpp's CPU attention kernel: fewer rows are computed one by one
TILE = 64
# fewer in a step cost a twelfth more each: a step reads all weights
_ALONE = 2 * TILE


class PrefillBudget:
    def __init__(self, times: StepTimes, *, target_seconds: float, start: int, most: int) -> None:
        """`target_seconds`: wanted time between two tokens of a running stream, 0 for no bound.
        `start`: tokens until there is a measurement; `most`: tokens that a step can hold."""
        self._times = times
        self._target = target_seconds
        self._start = min(start, most)
        self._most = most

    def tokens(self, *rows: int) -> int:
        """The budget beside steps of so many rows of decoding sequences, one for each set of
        adapters: whole tiles, at least one. Where nobody decodes, it is who comes next that would
        wait, and at least two are read."""
        if not self._target:
            return self._most
        if self._times.prompt_token is None:
            return self._start if any(rows) else self._most
        decoding = sum(self._times.decode(count) for count in rows)
        if len(rows) > 1:
            decoding += len(rows) * self._times.switch
        room = (self._target - decoding) / self._times.prompt_token
        least = TILE if any(rows) else _ALONE
        return min(max(int(room) // TILE * TILE, least), self._most)
