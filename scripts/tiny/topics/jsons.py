"""Answers in JSON: facts, sums, people taken from a sentence, and lists."""

import json
from random import Random

from .base import Turn, pick, reword
from .colours import THINGS
from .copying import GROUPS
from .sums import draw_sum
from .talk import NAMES
from .world import plain_name
from .world_facts import CITIES, COUNTRIES

_TAIL = [
    " Answer in JSON.",
    " Reply in JSON.",
    " Give the answer as JSON.",
    " Answer with JSON.",
    " Respond with a JSON object.",
    " Use JSON.",
    " Return JSON.",
    " As JSON, please.",
    " Answer only with JSON.",
    " Output JSON.",
    " JSON please.",
]
_HEAD = [
    "In JSON: ",
    "Answer in JSON. ",
    "Reply with JSON only. ",
    "As a JSON object: ",
    "Respond in JSON: ",
    "Return JSON: ",
]
_JOBS = ("baker", "farmer", "teacher", "sailor", "doctor", "painter", "driver", "cook", "nurse")


def _wrap(rng: Random, question: str) -> str:
    if rng.random() < 0.3:
        return pick(rng, _HEAD) + question
    return question + pick(rng, _TAIL)


def _turn(question: str, value: object) -> Turn:
    return Turn(
        question,
        json.dumps(value, ensure_ascii=False),
        thought="The user wants JSON, so I answer with JSON only.",
    )


def _country(rng: Random) -> Turn:
    country = pick(rng, COUNTRIES)
    name = plain_name(rng, country)
    plain = country.name.removeprefix("the ")
    if rng.random() < 0.6:
        question = pick(
            rng,
            [
                "What is the capital of {c}?",
                "Name the capital of {c}.",
                "Tell me the capital of {c}.",
                "Which city is the capital of {c}?",
                "The capital of {c}.",
            ],
        ).format(c=name)
        return _turn(_wrap(rng, question), {"country": plain, "capital": country.capital})
    ask = pick(
        rng,
        [
            "Give me facts about {c}.",
            "Tell me about {c}.",
            "Describe {c}.",
            "Information about {c}.",
        ],
    ).format(c=name)
    value = {"country": plain, "capital": country.capital, "continent": country.continent}
    return _turn(_wrap(rng, ask), value)


def _sum(rng: Random) -> Turn:
    a, sign, b, result = draw_sum(rng)
    ask = pick(
        rng,
        ["What is {a} {s} {b}?", "Calculate {a} {s} {b}.", "{a} {s} {b}?", "Compute {a} {s} {b}."],
    ).format(a=a, s=sign, b=b)
    return _turn(_wrap(rng, ask), {"expression": f"{a} {sign} {b}", "result": result})


def _colour(rng: Random) -> Turn:
    thing, colour = pick(rng, THINGS)
    ask = pick(
        rng, ["What colour is {t}?", "Tell me the colour of {t}.", "Which colour is {t}?"]
    ).format(t=thing)
    name = thing.split(" ", 1)[1] if thing.startswith(("a ", "an ", "the ")) else thing
    return _turn(_wrap(rng, ask), {"thing": name, "colour": colour})


def _person(rng: Random) -> Turn:
    name, age, city, job = pick(rng, NAMES), rng.randint(5, 95), pick(rng, CITIES), pick(rng, _JOBS)
    kind = rng.randrange(3)
    said, value = (
        (f"{name} is {age} years old.", {"name": name, "age": age}),
        (
            f"{name} is {age} years old and lives in {city}.",
            {"name": name, "age": age, "city": city},
        ),
        (f"{name} lives in {city} and works as a {job}.", {"name": name, "city": city, "job": job}),
    )[kind]
    keys = " and ".join([", ".join(list(value)[:-1]), list(value)[-1]])
    ask = pick(
        rng,
        [
            f"Extract the {keys} as JSON: {said}",
            f"{said} Give me the {keys} as JSON.",
            f"Turn this into JSON: {said}",
            f"Write this as JSON: {said}",
            f"{said} Answer in JSON with {keys}.",
            f"Make JSON with the keys {keys}. {said}",
        ],
    )
    return _turn(ask, value)


def _list(rng: Random) -> Turn:
    group = pick(rng, sorted(GROUPS))
    number = rng.randint(2, 5)
    items = GROUPS[group].split()[:number]
    ask = pick(rng, ["List {n} {g}.", "Name {n} {g}.", "Give me {n} {g}."])
    return _turn(_wrap(rng, ask.format(n=number, g=group)), {group: items})


def _made_up(rng: Random) -> Turn:
    name, age = pick(rng, NAMES), rng.randint(18, 80)
    ask = pick(
        rng,
        [
            "Give me a JSON object with a name and an age.",
            "Make up a person in JSON.",
            "Invent a person and answer in JSON.",
            "Write a JSON example.",
            "Show me some JSON.",
            "Give me an example of JSON.",
        ],
    )
    return _turn(reword(rng, ask), {"name": name, "age": age})


def json_answers(rng: Random) -> list[Turn]:
    """One question whose answer is a JSON object."""
    roll = rng.random()
    makers = ((0.3, _country), (0.42, _sum), (0.55, _colour), (0.8, _person), (0.92, _list))
    for limit, maker in makers:
        if roll < limit:
            return [maker(rng)]
    return [_made_up(rng)]
