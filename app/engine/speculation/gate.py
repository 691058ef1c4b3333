"""Whether guessing ahead pays: decided anew for every step from what was measured.

A step with guesses takes longer than one without, and brings more tokens when guesses are right.
Both are measured: the time of steps by their number of rows, and for each sequence how often its
guesses are right, also while they are only compared with what the model said by itself. A number
of rows that was never tried is tried now and then, for at most one hundredth of the time.
"""

from dataclasses import dataclass, field

from app.engine.step_times import StepTimes

_WEIGHT = 0.1  # of one guess in the running mean of right ones
_FIRST_CHANCE = 0.5
_LEAST_CHANCE = 0.3  # below it no number of guesses can pay where a row costs anything
_MARGIN = 1.05  # the gain that is worth the trouble
_TRIAL_SHARE = 0.01  # of the time, spent on trying steps that may not pay


@dataclass(slots=True)
class Record:
    """What became of one sequence's guesses. `shadow`: guesses that were not computed, waiting to
    be compared with the tokens to come."""

    chance: float = _FIRST_CHANCE
    judged: int = 0
    shadow: list[int] = field(default_factory=list[int])

    def judge(self, is_right: bool) -> None:
        self.judged += 1
        weight = max(_WEIGHT, 1 / (self.judged + 1))
        self.chance += weight * (is_right - self.chance)

    def compare(self, token: int) -> None:
        """The model chose a token by itself: was the shadow guess right?"""
        if self.shadow:
            guess = self.shadow.pop(0)
            self.judge(guess == token)
            if guess != token:
                self.shadow.clear()


class Gate:
    def __init__(self, times: StepTimes) -> None:
        self._times = times
        self._credit = 0.0  # seconds that trials may take
        self.guess_seconds = 0.0  # what making guesses takes, per step

    def pass_time(self, seconds: float) -> None:
        """A step took so long."""
        self._credit = min(self._credit + _TRIAL_SHARE * seconds, 10.0)

    def can_pay(self, rows: int, n_sequences: int, offers: list[tuple[Record, int]]) -> bool:
        """Whether any of so many guesses would be computed: asked before they are made, which
        takes time too."""
        return self._decide(rows, n_sequences, _gains(offers))[0] > 0

    def choose(self, rows: int, n_sequences: int, offers: list[tuple[Record, int]]) -> list[int]:
        """How many guesses of each offer (record, number of guesses) to compute beside `rows` rows
        that bring `n_sequences` tokens. All zero where it does not pay."""
        gains = _gains(offers)
        count, wasted = self._decide(rows, n_sequences, gains)
        self._credit -= wasted
        chosen = [0] * len(offers)
        for _, index in gains[:count]:
            chosen[index] += 1
        return chosen

    def _decide(
        self, rows: int, n_sequences: int, gains: list[tuple[float, int]]
    ) -> tuple[int, float]:
        """How many of the best guesses to compute, and the time that is at stake if it is only a
        try."""
        alone = self._times.decode(rows)
        if not alone or not gains:
            return 0, 0.0
        best, best_count, expected = n_sequences / alone * _MARGIN, 0, float(n_sequences)
        for count, (gain, _) in enumerate(gains, 1):
            expected += gain
            rate = expected / (self._times.decode(rows + count) + self.guess_seconds)
            if rate > best:
                best, best_count = rate, count
        if best_count:
            return best_count, 0.0
        return self._try(rows, n_sequences, [gain for gain, _ in gains])

    def _try(self, rows: int, n_sequences: int, gains: list[float]) -> tuple[int, float]:
        """A number of guesses worth a try: it would pay if more rows cost next to nothing, nobody
        has measured what they cost lately, and the time it may waste was saved up."""
        count = len(gains)
        could_pay = 1 + sum(gains) / n_sequences > _MARGIN
        if not could_pay or self._times.is_fresh(rows + count):
            return 0, 0.0
        wasted = self._times.decode(rows + count) - self._times.decode(rows)
        return (count, wasted) if wasted <= self._credit else (0, 0.0)


def _gains(offers: list[tuple[Record, int]]) -> list[tuple[float, int]]:
    """The chance of each offered guess, and whose it is; the best first."""
    return sorted(
        (
            (record.chance ** (place + 1), index)
            for index, (record, count) in enumerate(offers)
            if record.chance >= _LEAST_CHANCE
            for place in range(count)
        ),
        reverse=True,
    )
