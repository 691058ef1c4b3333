"""Whys and general knowledge."""

from random import Random

from .base import Turn, pick, question_table, reword, split_lines

_WHY_ASKS = split_lines("""
Why is it that {w}?
Can you explain why {w}?
Explain why {w}.
Tell me why {w}.
Do you know why {w}?
What is the reason that {w}?
I wonder why {w}.
My child asked me why {w}.
How come {w}?
Could you tell me why {w}?
Why do you think {w}?
What is the explanation? I mean, why {w}?
Please explain in simple words why {w}.
""")
_OPPOSITES = (
    "hot:cold|big:small|tall:short|day:night|black:white|good:bad|up:down|left:right|fast:slow"
    "|old:young|happy:sad|full:empty|hard:soft|open:closed|light:dark|early:late|rich:poor"
    "|wet:dry|loud:quiet|near:far|thick:thin|strong:weak|first:last|yes:no|high:low"
)
_PAIRS = [pair.partition(":") for pair in _OPPOSITES.split("|")]
OPPOSITES = {a: b for a, _, b in _PAIRS} | {b: a for a, _, b in _PAIRS}
_ASK_OPPOSITE = split_lines("""
What is the opposite of {w}?
What's the opposite of {w}?
Tell me the opposite of {w}.
Name the opposite of {w}.
The opposite of {w}?
Which word is the opposite of {w}?
Give me the opposite of {w}.
""")


def _why_table() -> list[tuple[list[str], list[str], str]]:
    rows: list[tuple[list[str], list[str], str]] = []
    for lines, answer in question_table("whys"):
        clauses = [line.removeprefix("why ") for line in lines if line.startswith("why ")]
        direct = [line for line in lines if not line.startswith("why ")]
        rows.append((clauses, direct, answer))
    return rows


WHYS = _why_table()
FACTS = question_table("facts")
_WRAPS = (
    "{q}",
    "{q}",
    "{q}",
    "{q}",
    "{q}",
    "Can you tell me: {q}",
    "Do you know this: {q}",
    "Answer this: {q}",
    "Here is my question. {q}",
    "Quiz: {q}",
)


def whys(rng: Random) -> list[Turn]:
    """A why with its short explanation."""
    clauses, direct, answer = WHYS[0] if rng.random() < 0.1 else pick(rng, WHYS)
    if rng.random() < 0.6:
        question = pick(rng, direct)
    else:
        question = pick(rng, _WHY_ASKS).format(w=pick(rng, clauses))
    thought = f"The user wants to know why {clauses[0]}. I explain it in simple words."
    return [Turn(reword(rng, question), answer, thought=thought)]


def facts(rng: Random) -> list[Turn]:
    """A fact of general knowledge or an opposite."""
    if rng.random() < 0.2:
        word = pick(rng, sorted(OPPOSITES))
        question = pick(rng, _ASK_OPPOSITE).format(w=word)
        other = OPPOSITES[word]
        return [
            Turn(
                reword(rng, question),
                f"The opposite of {word} is {other}.",
                f"{other.capitalize()}.",
            )
        ]
    questions, answer = pick(rng, FACTS)
    question = pick(rng, _WRAPS).format(q=pick(rng, questions))
    return [Turn(reword(rng, question), answer, thought="I know this fact. " + answer)]
