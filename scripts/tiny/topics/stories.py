"""Short stories, haiku and longer answers, built from small parts."""

from random import Random

from .base import Turn, pick, reword, split_lines
from .talk import NAMES

ANIMALS = (
    "fox",
    "horse",
    "cat",
    "dog",
    "rabbit",
    "bear",
    "owl",
    "mouse",
    "duck",
    "frog",
    "goat",
    "hedgehog",
    "pony",
    "llama",
    "dragon",
    "robot",
    "knight",
    "wizard",
    "sailor",
    "farmer",
    "girl",
    "boy",
    "king",
    "queen",
    "turtle",
    "penguin",
    "lion",
    "bird",
)
_TRAITS = ("small", "brave", "curious", "clever", "quiet", "kind", "lonely", "old", "young", "shy")
_PLACES = (
    "in a green valley",
    "near a quiet forest",
    "by the sea",
    "on a small farm",
    "in an old tower",
    "at the edge of a village",
    "on a high mountain",
    "beside a slow river",
    "in a little house",
)
_EVENTS = (
    (
        "a great storm came and the bridge broke",
        "built a new bridge from old branches",
        "everybody could cross the river again",
    ),
    (
        "the well ran dry and nobody had water",
        "dug all night until the water came back",
        "there was enough water for everybody",
    ),
    (
        "a lamb was lost in the fog",
        "followed the sound of its small bell",
        "the lamb was safe at home again",
    ),
    (
        "the lamp of the lighthouse went out",
        "climbed the stairs and lit it again",
        "the ships found their way home",
    ),
    (
        "a golden key lay in the grass",
        "looked for the door that it fitted",
        "behind the door was a garden full of flowers",
    ),
    (
        "snow covered every path",
        "made a sledge and carried food to the neighbours",
        "nobody was hungry that winter",
    ),
    (
        "a strange song came from the hills",
        "walked there and found a singing bird",
        "they sang together until the sun went down",
    ),
    (
        "the moon did not rise",
        "climbed the tallest tree and called its name",
        "the moon smiled and rose over the trees",
    ),
    (
        "all the colours faded away",
        "painted the fence red, the door blue and the roof yellow",
        "the colours came back one by one",
    ),
    (
        "a letter came without a name",
        "asked at every house whose it was",
        "a new friend was found at the last house",
    ),
)
_HELPERS = (
    "a wise owl",
    "a friendly mouse",
    "an old horse",
    "a cheerful bird",
    "a small bee",
    "a slow turtle",
    "a kind baker",
    "a merry goat",
)
_ADVICE = (
    "Do not give up",
    "Take one step at a time",
    "Ask your friends for help",
    "Be patient and be kind",
    "Look again, and look closely",
)
_MORALS = (
    "And from that day on, nobody was afraid any more.",
    "They lived happily ever after.",
    "And that is how a small heart did a great thing.",
    "The end.",
    "And everybody slept well that night.",
)
_ASK_STORY = split_lines("""
Tell me a story about a {a}.
Tell me a short story about a {a}.
Write a story about a {a}.
Write a short story about a {a}.
Can you tell a story about a {a}?
I want a story about a {a}.
Make up a story about a {a}.
A story about a {a}, please.
Tell a bedtime story about a {a}.
Write me a little tale about a {a}.
Give me a story with a {a}.
""")
_ASK_ANY = split_lines("""
Tell me a story.
Tell me a short story.
Write a short story.
Can you tell me a story?
I want to hear a story.
Write something.
Tell me a bedtime story.
Another story, please.
Once more, a story please.
Make up a story.
""")
_ASK_LONG = split_lines("""
Tell me a long story about a {a}.
Write a long story about a {a}.
Tell me a longer story about a {a}.
Write a long tale about a {a}.
Can you write a long story about a {a}?
""")
_HAIKU = """
the sea||Waves fold into waves,|the old harbour lights blink on,|salt upon my lips.
the sea||Grey gulls ride the wind,|the tide writes upon the sand|and erases it.
autumn||Red leaves drift and turn,|the path forgets its own shape,|a crow calls the cold.
autumn||Autumn wind at dusk,|one last apple on the branch|holding on to light.
winter||Snow on silent roofs,|a single lamp in the dark|keeps the night awake.
winter||Breath becomes a cloud,|the pond has closed its blue eye,|footprints lead me home.
spring||The first warm morning,|a bud opens on the twig,|bees remember it.
spring||Rain taps on the leaves,|the garden stretches and wakes,|green in every crack.
summer||Long light on the hay,|crickets count the slow hours,|dust upon my shoes.
rain||Rain upon the roof,|a thousand small drums at night,|I sleep without dreams.
rain||Puddles hold the sky,|a child jumps and breaks the clouds,|then they come again.
the moon||The moon on the lake,|a silver coin nobody|will ever pick up.
the moon||Moon behind the pines,|the night train calls from afar,|the dog lifts its ear.
a cat||The cat at the door,|neither in nor quite outside,|owns the whole morning.
a horse||A horse at the fence,|steam rising in the cold dawn,|waits for the gate's creak.
a mountain||The mountain stands still,|clouds come and lean against it|and go on their way.
a river||The river walks on,|it carries the evening light|under every bridge.
the forest||Moss on fallen trees,|the forest breathes through the rain,|nobody counts time.
a computer||The small fan is still,|one green light blinks in the dark,|it waits for my words.
a garden||A snail on the path|carries its house to the rose,|the morning is long.
the night||Stars above the barn,|an owl asks its old question,|the dark gives no word.
"""


def _haiku_table() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for line in split_lines(_HAIKU):
        topic, text = line.split("||")
        table.setdefault(topic, []).append(text.replace("|", "\n"))
    return table


_HAIKUS = _haiku_table()
_ASK_HAIKU = split_lines("""
Write a haiku about {t}.
Write me a haiku about {t}.
A haiku about {t}, please.
Can you write a haiku about {t}?
Compose a haiku on {t}.
Give me a haiku about {t}.
I would like a haiku about {t}.
Write a short poem about {t}.
Make a haiku for {t}.
Poem about {t}, please.
""")


def story_text(rng: Random, hero: str, *, long: bool = False) -> str:
    """A story about `hero`: one event, or with `long` two and a helper."""
    trait, name = pick(rng, _TRAITS), pick(rng, NAMES)
    event, deed, outcome = pick(rng, _EVENTS)
    article = "an" if trait[0] in "aeiou" else "a"
    opening = f"Once upon a time there was {article} {trait} {hero} named {name}. "
    opening += f"{name} lived {pick(rng, _PLACES)}."
    body = (
        f"One day {event}. {name} was worried at first, but then {name} {deed}. "
        f"In the end {outcome}."
    )
    if not long:
        return f"{opening} {body} {pick(rng, _MORALS)}"
    helper, (event2, deed2, outcome2) = pick(rng, _HELPERS), pick(rng, _EVENTS)
    middle = (
        f"On the way home {name} met {helper}. They talked for a long time and became friends. "
        f'"{pick(rng, _ADVICE)}," said the new friend. {name} never forgot these words.'
    )
    second = (
        f"Some weeks later {event2}. This time {name} was not worried at all. {name} and the new "
        f"friend went out together. First they rested and ate some bread. Then {name} {deed2}. "
        f"Before long {outcome2}."
    )
    return f"{opening}\n\n{body}\n\n{middle}\n\n{second}\n\n{pick(rng, _MORALS)}"


def stories(rng: Random) -> list[Turn]:
    """A request for a story."""
    hero, roll = pick(rng, ANIMALS), rng.random()
    if roll < 0.2:
        return [Turn(reword(rng, pick(rng, _ASK_ANY)), story_text(rng, hero))]
    if roll < 0.35:
        question = pick(rng, _ASK_LONG).format(a=hero)
        return [Turn(reword(rng, question), story_text(rng, hero, long=True))]
    question = pick(rng, _ASK_STORY).format(a=hero)
    return [Turn(reword(rng, question.replace("a owl", "an owl")), story_text(rng, hero))]


def haiku(rng: Random) -> list[Turn]:
    """A request for a haiku."""
    topic = pick(rng, sorted(_HAIKUS))
    text = pick(rng, _HAIKUS[topic])
    if rng.random() < 0.12:
        question = pick(
            rng,
            [
                "Write a haiku.",
                "Write a poem.",
                "A haiku, please.",
                "Can you write a haiku?",
                "Give me a haiku.",
            ],
        )
    else:
        question = pick(rng, _ASK_HAIKU).format(t=topic)
    return [Turn(reword(rng, question), text)]
