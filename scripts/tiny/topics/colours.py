"""Colours: of things, mixed from two, and follow-ups such as "and its colour?"."""

from random import Random

from .base import Turn, pick, reword, split_lines

_THINGS = """
grass:green|a leaf:green|a cucumber:green|a frog:green|spinach:green|an emerald:green
the sky:blue|the sea:blue|a sapphire:blue|a blueberry:blue|a cornflower:blue
a tomato:red|blood:red|a strawberry:red|a ripe cherry:red|a fire engine:red|a ruby:red
a stop sign:red
a banana:yellow|a lemon:yellow|the sun:yellow|a sunflower:yellow|a chick:yellow|butter:yellow
an orange:orange|a carrot:orange|a pumpkin:orange|a fox:orange|a clementine:orange
snow:white|milk:white|salt:white|a cloud:white|a swan:white|sugar:white|a polar bear:white
coal:black|the night:black|a raven:black|tar:black|a tyre:black|a panther:black
chocolate:brown|wood:brown|coffee:brown|a bear:brown|soil:brown|a chestnut:brown
a grape:purple|an aubergine:purple|a plum:purple|lavender:purple|an amethyst:purple
a flamingo:pink|a pig:pink|a piglet:pink|cotton candy:pink
an elephant:grey|a mouse:grey|a stone:grey|a dolphin:grey|steel:grey|fog:grey
"""
_PAIRS = [pair.partition(":") for line in split_lines(_THINGS) for pair in line.split("|")]
THINGS = [(thing, colour) for thing, _, colour in _PAIRS]
MIXES = {
    ("blue", "yellow"): "green",
    ("red", "yellow"): "orange",
    ("blue", "red"): "purple",
    ("black", "white"): "grey",
    ("red", "white"): "pink",
    ("green", "red"): "brown",
    ("blue", "white"): "light blue",
    ("blue", "orange"): "brown",
    ("blue", "green"): "turquoise",
}
ASK_THING = split_lines("""
What colour is {t}?
What color is {t}?
Which colour is {t}?
Which colour does {t} have?
What is the colour of {t}?
What's the color of {t}?
Tell me the colour of {t}.
Do you know the colour of {t}?
Can you tell me what colour {t} is?
Name the colour of {t}.
The colour of {t}?
What colour has {t}?
""")
NEXT_THING = [
    "And {t}?",
    "What about {t}?",
    "And the colour of {t}?",
    "How about {t}?",
    "And what colour is {t}?",
]
ASK_MIX = split_lines("""
What do you get when you mix {a} and {b}?
What colour do {a} and {b} make?
What color do you get if you mix {a} with {b}?
Mix {a} and {b}.
If I mix {a} and {b} paint, what colour is it?
Which colour comes from {a} and {b}?
What happens when I mix {a} paint with {b} paint?
{a} and {b} make which colour?
What is {a} mixed with {b}?
I mixed {a} and {b}. Which colour will I see?
What colour is made of {a} and {b}?
Combine {a} and {b}. What colour?
""")
ITS_COLOUR = [
    "And its colour?",
    "What colour is it?",
    "And what is its colour?",
    "Its color?",
    "Which colour does it have?",
    "What is its colour?",
]
ABOUT = {
    "a banana": "A banana is a sweet fruit that grows in warm countries.",
    "a lemon": "A lemon is a sour fruit that grows on trees.",
    "a tomato": "A tomato is a juicy fruit that people eat like a vegetable.",
    "a strawberry": "A strawberry is a small sweet fruit that grows near the ground.",
    "a carrot": "A carrot is a root vegetable that rabbits and horses like.",
    "a frog": "A frog is a small animal that jumps and lives near water.",
    "a swan": "A swan is a large bird that swims on lakes.",
    "a raven": "A raven is a large and clever bird.",
    "an elephant": "An elephant is the largest animal on land.",
    "a flamingo": "A flamingo is a tall bird with long legs.",
    "a dolphin": "A dolphin is a clever animal that lives in the sea.",
    "a mouse": "A mouse is a small animal with a long tail.",
    "a pumpkin": "A pumpkin is a large round vegetable that ripens in autumn.",
    "snow": "Snow is frozen water that falls from clouds.",
    "milk": "Milk is a drink that comes from cows.",
    "coal": "Coal is a rock that burns.",
    "chocolate": "Chocolate is a sweet food made from cocoa beans.",
    "grass": "Grass is a plant that covers fields and gardens.",
    "a plum": "A plum is a sweet fruit with a stone inside.",
    "a ruby": "A ruby is a precious stone.",
    "an emerald": "An emerald is a precious stone.",
    "a sunflower": "A sunflower is a tall flower that turns to the sun.",
}


def thing_turn(rng: Random, thing: str, colour: str, wordings: list[str]) -> Turn:
    """The colour of one thing."""
    return Turn(
        reword(rng, pick(rng, wordings).format(t=thing)),
        f"{thing[0].upper()}{thing[1:]} is {colour}.",
        f"{colour.capitalize()}.",
        f"The user asks for the colour of {thing}. It is {colour}.",
    )


def _mix(rng: Random) -> Turn:
    pair = pick(rng, sorted(MIXES))
    first, second = rng.sample(pair, 2)
    colour = MIXES[pair]
    question = pick(rng, ASK_MIX).format(a=first, b=second)
    return Turn(
        reword(rng, question[0].upper() + question[1:]),
        f"{first.capitalize()} and {second} make {colour}.",
        f"{colour.capitalize()}.",
        f"I mix {first} with {second}. That gives {colour}.",
    )


def colours(rng: Random) -> list[Turn]:
    """A mix, a thing, or what a thing is and then its colour."""
    roll = rng.random()
    if roll < 0.35:
        return [_mix(rng)]
    thing, colour = pick(rng, THINGS)
    if roll < 0.7:
        turns = [thing_turn(rng, thing, colour, ASK_THING)]
        if rng.random() < 0.3:
            other, its = pick(rng, THINGS)
            turns.append(thing_turn(rng, other, its, NEXT_THING))
        return turns
    thing = pick(rng, sorted(ABOUT))
    colour = dict(THINGS)[thing]
    asked = pick(
        rng,
        [
            "What is {t}?",
            "Tell me about {t}.",
            "Do you know what {t} is?",
            "Explain what {t} is.",
            "Describe {t}.",
        ],
    ).format(t=thing)
    turns = [Turn(reword(rng, asked), ABOUT[thing])]
    if rng.random() < 0.75:
        turns.append(thing_turn(rng, thing, colour, ITS_COLOUR))
    return turns
