"""What every topic shares: turns, random wording and small slips of the keyboard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar


@dataclass(frozen=True)
class Turn:
    """One question and its answer; `brief` and `thought` are optional other forms of it."""

    user: str
    answer: str
    brief: str | None = None
    thought: str | None = None


T = TypeVar("T")
Skill = Callable[[Random], list[Turn]]

OPENERS = (
    "Hi! ",
    "Hello! ",
    "Hey, ",
    "Hi there, ",
    "Good morning! ",
    "Quick question: ",
    "Please: ",
    "I have a question. ",
    "Tell me, ",
    "So, ",
    "Okay, ",
    "Can you help me? ",
    "Well, ",
    "One more thing: ",
    "Next question: ",
    "Hmm, ",
    "Sorry to bother you. ",
    "Dear Corral, ",
    "I need help. ",
    "Now, ",
    "Just curious: ",
    "Oh, and ",
    "Alright, ",
    "Thanks! ",
    "Great. ",
    "A question for you: ",
    "For my homework: ",
    "My son asks: ",
    "Do you know? ",
    "Say, ",
)
CLOSERS = (
    " Thanks!",
    " Thank you.",
    " Please.",
    " I am curious.",
    " I forgot.",
    " Just wondering.",
    " Please tell me.",
    " Thanks in advance.",
    " I really want to know.",
    " Any idea?",
    " Do you know?",
    " Can you help?",
    " I need it for school.",
    " Please answer.",
)


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of `options`."""
    return options[rng.randrange(len(options))]


def split_lines(block: str) -> list[str]:
    """The non-empty lines of a text block."""
    return [line.strip() for line in block.strip().splitlines() if line.strip()]


def question_table(name: str) -> list[tuple[list[str], str]]:
    """The blocks of `name`.txt: wordings of a question, a line each, then `= ` and the answer."""
    text = Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")
    rows: list[tuple[list[str], str]] = []
    for block in text.strip().split("\n\n"):
        *questions, answer = block.split("\n")
        rows.append((questions, answer.removeprefix("= ")))
    return rows


def _typo(rng: Random, text: str) -> str:
    if len(text) < 8:
        return text
    at = rng.randrange(1, len(text) - 2)
    if not (text[at].isalpha() and text[at + 1].isalpha()) or text[at].isupper():
        return text
    kind = rng.random()
    if kind < 0.4:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind < 0.7:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]


def reword(rng: Random, question: str, *, noise: bool = True) -> str:
    """Dress a question up: an opener, a closer, lower case, no punctuation, a typo."""
    roll = rng.random()
    if roll < 0.16:
        opener = pick(rng, OPENERS)
        lower = opener[-2] in ",d" and question[:2] != "I "
        question = opener + (question[0].lower() + question[1:] if lower else question)
    elif roll < 0.26:
        question += pick(rng, CLOSERS)
    if not noise:
        return question
    roll = rng.random()
    if roll < 0.14:
        question = question.lower()
    elif roll < 0.16:
        question = question.upper()
    if rng.random() < 0.18:
        question = question.rstrip("?!. ")
    if rng.random() < 0.06:
        question = _typo(rng, question)
    return question


def join_and(items: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(items) == 1:
        return items[0]
    return ", ".join(items[:-1]) + " and " + items[-1]
