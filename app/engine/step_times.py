"""How long steps take, measured as the engine runs.

A step's cost differs a thousandfold between machines and models, so whoever decides what goes into
one asks here.
"""

_WEIGHT = 0.2  # of a new measurement in a running mean
# prompt tokens in a step whose time says something about one: fewer cost more each
_FEWEST_MEASURED = 64
_FRESH_STEPS = 500


class StepTimes:
    """In seconds. `rows`: tokens of decoding sequences in a step, whose times are running means.
    `prompt_token` rises with a measurement at once, and falls half of the way. `switch`: what a
    step takes longer when it is the first under other adapters."""

    def __init__(self) -> None:
        self._decode: dict[int, float] = {}
        self._steps = 0
        self._measured_at: dict[int, int] = {}  # step of the latest measurement
        self.prompt_token: float | None = None
        self.switch = 0.0

    def observe(
        self, rows: int, n_prefill: int, seconds: float, *, has_switched: bool = False
    ) -> None:
        """A step of so many rows and prompt tokens took so long."""
        self._steps += 1
        if has_switched:
            usual = self.decode(rows)
            if usual and not n_prefill:
                self.switch = _mean(self.switch or None, max(seconds - usual, 0.0))
            seconds -= self.switch
        if not n_prefill and not has_switched:
            self._measured_at[rows] = self._steps
            self._decode[rows] = _mean(self._decode.get(rows), seconds)
        elif n_prefill >= _FEWEST_MEASURED:
            cost = max(seconds - self.decode(rows), 1e-7) / n_prefill
            # a token costs more the longer its prompt has grown: a mean would always be late
            self.prompt_token = max(cost, (cost + (self.prompt_token or 0)) / 2)

    @property
    def has_any(self) -> bool:
        """Whether a step without prompts was measured."""
        return bool(self._decode)

    def is_fresh(self, rows: int) -> bool:
        """Whether a step of so many rows was measured not long ago."""
        measured = self._measured_at.get(rows)
        return measured is not None and self._steps - measured < _FRESH_STEPS

    def decode(self, rows: int) -> float:
        """Of a step of `rows` rows and nothing else: between the nearest numbers that were
        measured; beyond the largest one every row costs what it cost to come there from the
        next smaller one, or what it costs on average where there is none."""
        if not rows or not self._decode:
            return 0.0
        if rows in self._decode:
            return self._decode[rows]
        below = max((known for known in self._decode if known < rows), default=None)
        above = min((known for known in self._decode if known > rows), default=None)
        if below is None:
            return self._decode[above] if above is not None else 0.0
        if above is None:
            return self._decode[below] + self._slope(below) * (rows - below)
        share = (rows - below) / (above - below)
        return self._decode[below] + share * (self._decode[above] - self._decode[below])

    def _slope(self, rows: int) -> float:
        """What a row costs at a number that was measured."""
        below = max((known for known in self._decode if known < rows), default=None)
        if below is None:
            return self._decode[rows] / rows
        return max((self._decode[rows] - self._decode[below]) / (rows - below), 0.0)


def _mean(known: float | None, measured: float) -> float:
    return measured if known is None else known + _WEIGHT * (measured - known)
