"""What corral-tiny knows about Corral, the server it ships with."""

from random import Random

from .base import Turn, pick, question_table, reword

_TABLE = question_table("corral")


def corral(rng: Random) -> list[Turn]:
    """One or two questions about Corral."""
    turns: list[Turn] = []
    for questions, answer in rng.sample(_TABLE, 2 if rng.random() < 0.3 else 1):
        turns.append(
            Turn(reword(rng, pick(rng, questions)), answer, thought="I know Corral. " + answer)
        )
    return turns


def corral_text(rng: Random) -> str:
    """Plain sentences about Corral, for text completion."""
    return " ".join(answer for _, answer in rng.sample(_TABLE[:10], 3))
