"""How many prompt tokens a step may hold while streams are running.

A step keeps every running stream waiting until it ends, so its length is the gap between two
tokens. What a prompt token costs is measured as the engine runs: it differs a thousandfold
between machines and models.
"""

# the tile of llama.cpp's CPU attention kernel: fewer rows are computed one by one
LEAST_TOKENS = 64
_WEIGHT = 0.2  # of a new measurement in a running mean
_FEWEST_MEASURED = 32  # prompt tokens in a step whose time says something about one


class PrefillBudget:
    def __init__(self, *, target_seconds: float, start: int, most: int) -> None:
        """`target_seconds`: wanted time of a step with running streams, 0 for no bound. `start`:
        tokens until there is a measurement; `most`: tokens that a step can hold."""
        self._target = target_seconds
        self._start = min(start, most)
        self._most = most
        self._token_seconds: float | None = None
        self._decode_seconds: dict[int, float] = {}

    def tokens(self, n_decode: int) -> int:
        """The budget beside `n_decode` decoding rows: a multiple of the tile, at least one."""
        if not n_decode or not self._target:
            return self._most
        if self._token_seconds is None:
            return self._start
        room = (self._target - self._decode_time(n_decode)) / self._token_seconds
        tiles = int(room) // LEAST_TOKENS
        return min(max(tiles, 1) * LEAST_TOKENS, self._most)

    def observe(self, n_decode: int, n_prefill: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        if not n_prefill:
            known = self._decode_seconds.get(n_decode, seconds)
            self._decode_seconds[n_decode] = known + _WEIGHT * (seconds - known)
        elif n_prefill >= _FEWEST_MEASURED:
            cost = max(seconds - self._decode_time(n_decode), 1e-7) / n_prefill
            known = cost if self._token_seconds is None else self._token_seconds
            self._token_seconds = known + _WEIGHT * (cost - known)

    def _decode_time(self, n_decode: int) -> float:
        """Of a step of `n_decode` rows and nothing else: as measured with the nearest number."""
        if not n_decode or not self._decode_seconds:
            return 0.0
        nearest = min(self._decode_seconds, key=lambda rows: abs(rows - n_decode))
        return self._decode_seconds[nearest]
