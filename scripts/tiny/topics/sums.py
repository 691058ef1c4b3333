"""Small sums: plus, minus, times, and a few told as tiny stories."""

from random import Random

from .base import Turn, pick, reword, split_lines

_NUMBER_WORDS_LIST = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
NUMBER_WORDS = _NUMBER_WORDS_LIST.split()

ASK = split_lines("""
What is {e}?
What's {e}?
What is {e}?
How much is {e}?
Calculate {e}.
Compute {e}.
{e}?
{e} =
{e} = ?
Can you work out {e}?
Can you calculate {e}?
Please calculate {e}.
Tell me what {e} is.
What does {e} equal?
What do you get for {e}?
Solve {e}.
Do you know what {e} is?
What is the result of {e}?
Give me the answer to {e}.
Work out {e} for me.
I need to know {e}.
{e} is how much?
{e} makes what?
""")
PLUS = ["{a} + {b}", "{a}+{b}", "{a} plus {b}", "the sum of {a} and {b}", "{a} and {b} together"]
MINUS = ["{a} - {b}", "{a}-{b}", "{a} minus {b}", "{a} take away {b}", "{b} less than {a}"]
TIMES = [
    "{a} * {b}",
    "{a}*{b}",
    "{a} times {b}",
    "{a} x {b}",
    "{a} multiplied by {b}",
    "the product of {a} and {b}",
]
IMPERATIVE = {
    "+": ["Add {a} and {b}.", "Add {b} to {a}.", "If I add {b} to {a}, what do I get?"],
    "-": ["Subtract {b} from {a}.", "Take {b} away from {a}.", "Take {b} from {a}."],
    "*": ["Multiply {a} by {b}.", "Multiply {a} and {b}.", "If I multiply {a} by {b}?"],
}
THINGS = (
    "apples",
    "books",
    "eggs",
    "coins",
    "cookies",
    "horses",
    "pencils",
    "stones",
    "cards",
    "cats",
    "oranges",
    "toys",
    "stamps",
    "balls",
    "shells",
    "flowers",
)
PEOPLE = ("I", "Anna", "Tom", "Maria", "Ben", "Sara", "Leo", "Nina", "Omar", "Lucy")


def draw_sum(rng: Random) -> tuple[int, str, int, int]:
    """Two numbers, a sign and the result."""
    sign = pick(rng, "++--*")
    if sign == "*":
        top = pick(rng, (10, 10, 12))
        a, b = rng.randint(0, top), rng.randint(0, top)
        return a, sign, b, a * b
    top = pick(rng, (12, 12, 12, 20, 20, 20, 99))
    a, b = rng.randint(0, top), rng.randint(0, top)
    if sign == "-":
        a, b = max(a, b), min(a, b)
        return a, sign, b, a - b
    return a, sign, b, a + b


def _word(rng: Random, number: int) -> str:
    if number <= 20 and rng.random() < 0.12:
        return NUMBER_WORDS[number]
    return str(number)


def sum_turn(rng: Random) -> Turn:
    """One sum in one of many wordings."""
    a, sign, b, result = draw_sum(rng)
    if rng.random() < 0.15:
        wording = pick(rng, IMPERATIVE[sign])
    else:
        expression = pick(rng, {"+": PLUS, "-": MINUS, "*": TIMES}[sign])
        wording = pick(rng, ASK).replace("{e}", expression)
    question = wording.format(a=_word(rng, a), b=_word(rng, b))
    return Turn(
        reword(rng, question[0].upper() + question[1:]),
        f"{a} {sign} {b} = {result}.",
        str(result),
        f"I compute {a} {sign} {b}. That is {result}.",
    )


def _story_sum(rng: Random) -> Turn:
    thing, who = pick(rng, THINGS), pick(rng, PEOPLE)
    a, b = rng.randint(1, 15), rng.randint(1, 10)
    have = "have" if who == "I" else "has"
    pronoun = "I" if who == "I" else "they"
    if rng.random() < 0.5:
        verb = pick(rng, ["get", "buy", "find"] if who == "I" else ["gets", "buys", "finds"])
        told, sign, result = f"{verb} {b} more", "+", a + b
    else:
        a, b = max(a, b) + 1, min(a, b)
        verb = pick(rng, ["lose", "eat", "sell"] if who == "I" else ["loses", "eats", "sells"])
        verb = verb.replace("eat", "give away") if verb == "eat" else verb
        verb = "gives away" if verb == "eats" else verb
        told, sign, result = f"{verb} {b}", "-", a - b
    question = pick(
        rng,
        [
            f"{who} {have} {a} {thing} and {told}. How many {thing} now?",
            f"{who} {have} {a} {thing}. Then {who} {told}. How many are left?"
            if sign == "-"
            else f"{who} {have} {a} {thing}. Then {who} {told}. How many in all?",
            f"If {who} {have} {a} {thing} and {told}, how many {thing} do {pronoun} have?",
        ],
    )
    owner = "You have" if who == "I" else f"{who} has"
    return Turn(
        reword(rng, question),
        f"{a} {sign} {b} = {result}. {owner} {result} {thing}.",
        str(result),
        f"It starts with {a}, then {'adds' if sign == '+' else 'takes away'} {b}. "
        f"{a} {sign} {b} = {result}.",
    )


def _compare(rng: Random) -> Turn:
    a, b = rng.sample(range(100), 2)
    word = pick(rng, ["bigger", "larger", "greater", "smaller"])
    best = min(a, b) if word == "smaller" else max(a, b)
    rest = max(a, b) if word == "smaller" else min(a, b)
    question = pick(
        rng,
        [
            f"Which is {word}, {a} or {b}?",
            f"Which number is {word}: {a} or {b}?",
            f"What is {word}, {a} or {b}?",
            f"{a} or {b}, which one is {word}?",
        ],
    )
    return Turn(
        reword(rng, question),
        f"{best} is {word} than {rest}.",
        str(best),
        f"I compare {a} and {b}. {best} is {word}.",
    )


def _neighbour(rng: Random) -> Turn:
    n = rng.randint(1, 98)
    if rng.random() < 0.5:
        question, result, word = f"What number comes after {n}?", n + 1, "after"
    else:
        question, result, word = f"What number comes before {n}?", n - 1, "before"
    return Turn(reword(rng, question), f"{result} comes {word} {n}.", str(result))


def sums(rng: Random) -> list[Turn]:
    """One to three sums, or a small story sum or comparison."""
    roll = rng.random()
    if roll < 0.68:
        return [sum_turn(rng) for _ in range(pick(rng, (1, 1, 1, 2, 3)))]
    if roll < 0.86:
        return [_story_sum(rng)]
    return [_compare(rng) if roll < 0.95 else _neighbour(rng)]


def sheet(rng: Random) -> str:
    """A page of sums, one a line, to learn many in few tokens."""
    lines: list[str] = []
    for _ in range(rng.randint(6, 24)):
        a, sign, b, result = draw_sum(rng)
        lines.append(f"{a} {sign} {b} = {result}.")
    return "\n".join(lines)
