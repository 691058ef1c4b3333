"""Whether guessing ahead pays: decided anew for every step from what was measured.

A step with guesses takes longer than one without, and brings more tokens when guesses are right.
Both are measured: the time of steps by their number of rows, and for each sequence how often its
guesses are right, also while they are only compared with what the model said by itself. Making
guesses takes time too. What pays for itself goes on; all else is bounded: guesses that are not
computed, but only compared, and tries of numbers of rows that nobody has measured.
"""

from dataclasses import dataclass, field

from app.engine.step_times import StepTimes

_WEIGHT = 0.1  # of one guess in the running mean of right ones
_FIRST_CHANCE = 0.5
_LEAST_CHANCE = 0.3  # below it no number of guesses can pay where a row costs anything
_MARGIN = 1.05  # the gain that is worth the trouble
# of the time, for making guesses that come to nothing, and as much for tries. Making them costs
# about as much again as is measured, by what it does to caches.
_WASTE_SHARE = 0.005
# seconds; what good times saved must not make bad ones long
_MOST_FOR_GUESSES = 0.5
_MOST_FOR_TRIES = 10.0


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
    """Of one way to guess."""

    def __init__(self, times: StepTimes) -> None:
        self._times = times
        self._for_guesses = self._for_tries = 0.0  # seconds that may be wasted
        self._has_paid = True  # the latest guesses saved more time than making them took
        self._has_tried = False  # the first try needs no savings: it costs one row, once

    def pass_time(self, seconds: float) -> None:
        """A step took so long."""
        share = _WASTE_SHARE * seconds
        self._for_guesses = min(self._for_guesses + share, _MOST_FOR_GUESSES)
        self._for_tries = min(self._for_tries + share, _MOST_FOR_TRIES)

    def may_guess(self, *, is_asked: bool = False) -> bool:
        """Whether to make guesses at all, which takes time whatever becomes of them. `is_asked`:
        for somebody who sent some, and whom nobody has guessed for."""
        is_worth_it = is_asked or self._has_paid or self._for_guesses >= 0
        return is_worth_it and self._times.has_any

    def choose(self, rows: int, n_sequences: int, offers: list[tuple[Record, int]]) -> list[int]:
        """How many guesses of each offer (record, number of guesses) to compute beside `rows` rows
        that bring `n_sequences` tokens. All zero where it does not pay."""
        gains = _gains(offers)
        worths = [gain for gain, _ in gains]
        count = self._decide(rows, n_sequences, worths) or self._try(rows, n_sequences, worths)
        chosen = [0] * len(offers)
        for _, index in gains[:count]:
            chosen[index] += 1
        return chosen

    def settle(
        self, rows: int, n_sequences: int, chosen: list[tuple[Record, int]], seconds: float
    ) -> None:
        """Making the guesses of a step took so long. What those that were `chosen` are expected to
        save pays for it, and half of the rest for making others that may turn out useless."""
        gains = _gains(chosen)
        worth = self._times.decode(rows) / n_sequences  # of a token
        cost = self._times.decode(rows + len(gains)) - self._times.decode(rows)
        saved = max(worth * sum(gain for gain, _ in gains) - cost, 0.0) - seconds
        self._has_paid = saved > 0
        earned = saved / 2 if self._has_paid else saved
        self._for_guesses = min(self._for_guesses + earned, _MOST_FOR_GUESSES)

    def settle_reading(self, seconds: float) -> None:
        """A drafter has to read before it can guess: an investment where guesses paid lately."""
        if not self._has_paid:
            self._for_guesses -= seconds

    def _decide(self, rows: int, n_sequences: int, gains: list[float]) -> int:
        """How many of the best guesses to compute."""
        alone = self._times.decode(rows)
        best, best_count, expected = n_sequences / alone * _MARGIN, 0, float(n_sequences)
        for count, gain in enumerate(gains, 1):
            expected += gain
            rate = expected / self._times.decode(rows + count)
            if rate > best:
                best, best_count = rate, count
        return best_count

    def _try(self, rows: int, n_sequences: int, gains: list[float]) -> int:
        """A number of guesses worth a try: the smallest that would pay if more rows cost next to
        nothing, and whose cost nobody has measured lately, if what it may waste was saved up."""
        expected = 1.0
        for count, gain in enumerate(gains, 1):
            expected += gain / n_sequences
            if expected > _MARGIN and not self._times.is_fresh(rows + count):
                break
        else:
            return 0
        wasted = self._times.decode(rows + count) - self._times.decode(rows)
        if self._has_tried and wasted > self._for_tries:
            return 0
        self._has_tried = True
        self._for_tries -= wasted
        return count


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
