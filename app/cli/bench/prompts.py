"""Reproducible prompts of a wanted length in tokens, as the server counts them."""

from dataclasses import dataclass
from random import Random

WORD_LIST = (
    "river stone garden window letter market winter summer silver orange yellow purple mountain "
    "forest island harbour bridge castle village kitchen mirror candle pocket button ribbon basket "
    "bottle ladder hammer needle pencil paper curtain blanket pillow carpet corner ceiling doctor "
    "teacher farmer sailor painter singer baker driver captain soldier uncle sister brother cousin "
    "neighbour friend stranger morning evening afternoon midnight minute second moment season "
    "weather thunder shadow sunlight rainbow feather rabbit monkey tiger donkey chicken spider "
    "butter cheese pepper honey coffee biscuit apple cherry lemon onion potato carrot cabbage "
    "walk carry follow listen answer wonder gather borrow travel remember measure promise repair "
    "quiet gentle narrow simple clever honest hungry thirsty empty heavy bright distant ancient "
    "before after under above between beyond across around slowly quickly almost always never often"
)
WORDS = tuple(WORD_LIST.split())


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a server counts: `prompt tokens = overhead + words * tokens_per_word`."""

    tokens_per_word: float
    overhead_tokens: float
    """Tokens that the chat template adds around one user message."""
    measured: bool
    """False when the server reports no usage and typical figures are assumed."""

    @classmethod
    def assumed(cls) -> "Calibration":
        """Figures of a typical tokenizer and template."""
        return cls(tokens_per_word=1.3, overhead_tokens=12, measured=False)

    @classmethod
    def fit(cls, short: int, long: int) -> "Calibration":
        """From the prompt tokens counted for `calibration_text(1)` and `calibration_text(3)`."""
        per_word = (long - short) / (2 * len(WORDS))
        if per_word <= 0:
            return cls.assumed()
        return cls(per_word, short - per_word * len(WORDS), measured=True)


def calibration_text(rounds: int) -> str:
    """Every word, `rounds` times over."""
    return " ".join(WORDS * rounds)


@dataclass(frozen=True, slots=True)
class PromptWriter:
    """Writes texts from a seed: the same seed and key give the same text."""

    calibration: Calibration
    seed: int

    def prompt(self, tokens: int, key: str) -> str:
        """A user message that makes a prompt of `tokens` tokens, the template included."""
        return self.passage(tokens - self.calibration.overhead_tokens, key)

    def passage(self, tokens: float, key: str) -> str:
        """A text of about `tokens` tokens."""
        count = max(1, round(tokens / self.calibration.tokens_per_word))
        rng = Random(f"{self.seed}/{key}")  # noqa: S311 - prompts are no secret
        words: list[str] = []
        while len(words) < count:
            # Whole shuffled lists keep the average of tokens per word exact.
            words += rng.sample(WORDS, len(WORDS))
        return " ".join(words[:count])
