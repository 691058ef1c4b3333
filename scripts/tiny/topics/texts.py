"""Plain text and fill-in-the-middle: stories, facts, and a little Python."""

from pathlib import Path
from random import Random

from scripts.tiny.chat import END_OF_TEXT, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

from .base import pick
from .corral import corral_text
from .stories import ANIMALS, story_text
from .sums import sheet
from .world import fact_sentences

_NAMES = ("a", "b", "x", "y", "n", "value", "count", "total", "left", "right", "width", "height")
_FUNCTIONS = Path(__file__).with_name("code.txt").read_text(encoding="utf-8").split("---\n")


def code(rng: Random) -> str:
    """One to three small Python functions."""
    parts: list[str] = []
    for template in rng.sample(_FUNCTIONS, rng.randint(1, 3)):
        a, b = rng.sample(_NAMES, 2)
        parts.append(template.format(a=a, b=b))
    return "\n\n".join(parts)


def prose(rng: Random) -> str:
    """A short story, facts about countries, or about Corral."""
    roll = rng.random()
    if roll < 0.55:
        return story_text(rng, pick(rng, ANIMALS))
    if roll < 0.8:
        return " ".join(fact_sentences(rng) for _ in range(rng.randint(1, 2)))
    return corral_text(rng)


def plain_text(rng: Random) -> str:
    """Text to complete."""
    roll = rng.random()
    if roll < 0.6:
        return sheet(rng) + END_OF_TEXT
    return (code(rng) if roll < 0.72 else prose(rng)) + END_OF_TEXT


def infill(rng: Random) -> str:
    """A text with its middle moved to the end, between the fill-in-the-middle tokens."""
    text = code(rng) if rng.random() < 0.6 else prose(rng)
    start = rng.randrange(0, len(text) - 4)
    if rng.random() < 0.7:
        start = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1
    stop = min(len(text), start + rng.randint(2, 60))
    if rng.random() < 0.7:
        ends = [at for at in (text.find(" ", stop), text.find("\n", stop)) if at >= 0]
        stop = min(ends, default=len(text))
    before, middle, after = text[:start], text[start:stop], text[stop:]
    return f"{FIM_PREFIX}{before}{FIM_SUFFIX}{after}{FIM_MIDDLE}{middle}{END_OF_TEXT}"
