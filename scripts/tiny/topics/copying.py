"""Lists, counting, spelling and repeating: answers of many lengths and copied words."""

import string
from random import Random

from .base import Turn, join_and, pick, reword
from .talk import NAMES
from .world_facts import CITIES

GROUPS = {
    "fruits": "apple banana orange pear cherry grape lemon plum peach mango",
    "vegetables": "carrot potato onion spinach cucumber pumpkin pea cabbage leek radish",
    "animals": "horse cat dog cow sheep goat lion bear fox rabbit",
    "colours": "red blue green yellow orange purple pink white black brown",
    "birds": "owl duck swan eagle raven sparrow robin parrot gull stork",
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "days": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "months": "January February March April May June July August September October November "
    "December",
    "tools": "hammer saw drill spade rake axe pliers screwdriver",
    "instruments": "piano violin guitar drum flute trumpet harp cello",
    "sports": "football tennis swimming running cycling rowing boxing golf",
    "drinks": "water milk tea coffee juice cocoa lemonade",
}
_SMALL = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
_ASK = [
    "List {n} {g}.",
    "Name {n} {g}.",
    "Give me {n} {g}.",
    "Can you name {n} {g}?",
    "Tell me {n} {g}.",
    "Write down {n} {g}.",
    "I need {n} {g}.",
    "Make a list of {n} {g}.",
    "Which {n} {g} do you know?",
    "Please list {n} {g}.",
    "Say {n} {g}.",
]
_PHRASES = (
    "the cat sits on the mat",
    "hello world",
    "I like horses",
    "good morning everybody",
    "the quick brown fox",
    "rain is coming",
    "one two three",
    "corral is running",
    "open the gate",
    "never give up",
    "blue sky",
    "bread and butter",
    "peace and quiet",
    "it works",
    "all is well",
)
_WORDS_LIST = """
horse apple water garden stone river light cloud bread house tiger piano window silver forest
market pencil candle rocket planet lemon shadow button copper basket mirror engine island
"""
_WORDS = _WORDS_LIST.split()
_SAY = [
    "Repeat after me: {p}",
    "Say: {p}",
    "Repeat: {p}",
    "Please repeat this: {p}",
    "Echo: {p}",
    'Say "{p}".',
    'Repeat "{p}".',
    "Copy this text: {p}",
    "Write exactly this: {p}",
    'Repeat the following: "{p}"',
    "Say exactly: {p}",
    "Say the words: {p}",
]


def _letters(rng: Random) -> str:
    letters = [pick(rng, string.ascii_lowercase) for _ in range(rng.randint(3, 7))]
    return "".join(letters) + pick(rng, ["", "", str(rng.randint(0, 999))])


def _phrase(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.2:
        return pick(rng, _PHRASES)
    if roll < 0.3:
        return _letters(rng)
    words = [*_WORDS, *NAMES, *CITIES]
    if roll < 0.7:
        return " ".join(rng.sample(words, rng.randint(1, 6)))
    return " ".join(
        _letters(rng) if rng.random() < 0.2 else pick(rng, words) for _ in range(rng.randint(6, 20))
    )


def repeating(rng: Random) -> list[Turn]:
    """Repeat a phrase, greet somebody, or spell a word."""
    roll = rng.random()
    if roll < 0.55:
        phrase = _phrase(rng)
        return [Turn(pick(rng, _SAY).format(p=phrase), phrase)]
    if roll < 0.75:
        name = pick(rng, NAMES)
        ask = pick(
            rng,
            [
                "Say hello to {n}.",
                "Greet {n}.",
                "Please say hi to {n}.",
                "Say good morning to {n}.",
                "Can you greet {n}?",
            ],
        )
        hello = "Good morning" if "morning" in ask else "Hello"
        return [Turn(reword(rng, ask.format(n=name), noise=False), f"{hello}, {name}!")]
    word = pick(rng, _WORDS)
    ask = pick(
        rng,
        [
            "Spell {w}.",
            "How do you spell {w}?",
            "Spell the word {w}.",
            "Can you spell {w}?",
            "Please spell {w} for me.",
        ],
    ).format(w=word)
    return [Turn(reword(rng, ask, noise=False), "-".join(word.upper()))]


def _count(rng: Random) -> Turn:
    start = pick(rng, (1, 1, 1, 0, 5, 10, 20))
    end = start + rng.randint(2, pick(rng, (9, 9, 30)))
    if rng.random() < 0.25:
        numbers = list(range(end - start, -1, -1))
        ask = pick(
            rng, ["Count down from {e}.", "Count backwards from {e}.", "Count down from {e} to 0."]
        ).format(e=end - start)
    elif start == 1 and rng.random() < 0.5:
        numbers = list(range(1, end + 1))
        ask = pick(
            rng,
            [
                "Count to {e}.",
                "Can you count to {e}?",
                "Please count up to {e}.",
                "Write the numbers up to {e}.",
            ],
        ).format(e=end)
    else:
        numbers = list(range(start, end + 1))
        ask = pick(
            rng,
            [
                "Count from {s} to {e}.",
                "List the numbers from {s} to {e}.",
                "Write the numbers from {s} to {e}.",
                "Numbers from {s} to {e}, please.",
                "Can you count from {s} to {e}?",
            ],
        ).format(s=start, e=end)
    return Turn(reword(rng, ask), ", ".join(map(str, numbers)) + ".")


_WHOLE = (
    (
        [
            "Name the days of the week.",
            "What are the days of the week?",
            "List the days of the week.",
            "Tell me the days of the week.",
            "Which days does a week have?",
        ],
        "days",
    ),
    (
        [
            "Name the months.",
            "What are the months of the year?",
            "List the months of the year.",
            "List all months.",
            "Which months does a year have?",
        ],
        "months",
    ),
    (
        [
            "Name the planets.",
            "What are the planets?",
            "List the planets of the solar system.",
            "List all planets.",
            "Which planets are there?",
        ],
        "planets",
    ),
)


def listing(rng: Random) -> list[Turn]:
    """A list of things, a count, a whole series or the alphabet."""
    roll = rng.random()
    if roll < 0.35:
        return [_count(rng)]
    if roll < 0.5:
        asks, group = pick(rng, _WHOLE)
        items = GROUPS[group].split()
        return [Turn(reword(rng, pick(rng, asks)), join_and(items) + ".")]
    if roll < 0.55:
        ask = pick(
            rng,
            [
                "Say the alphabet.",
                "Write the alphabet.",
                "What is the alphabet?",
                "List the letters of the alphabet.",
                "Recite the alphabet.",
            ],
        )
        return [Turn(reword(rng, ask), ", ".join(string.ascii_uppercase) + ".")]
    group = pick(rng, sorted(GROUPS))
    number = rng.randint(2, 6)
    items = GROUPS[group].split()[:number]
    shown = str(number) if rng.random() < 0.3 else _SMALL[number]
    question = reword(rng, pick(rng, _ASK).format(n=shown, g=group))
    lines = "\n".join(f"{i}. {item.capitalize()}" for i, item in enumerate(items, 1))
    return [Turn(question, lines, join_and(items).capitalize() + ".")]
