"""The tools of the dialogues: how each is declared, asked for, answered and retold."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from .base import pick, split_lines
from .talk import NAMES
from .world_facts import CITIES

Json = dict[str, Any]


@dataclass(frozen=True)
class Use:
    """One use of a tool: what is asked, with which arguments, what comes back and the retelling."""

    question: str
    arguments: Json
    result: str
    answer: str


@dataclass(frozen=True)
class ToolKind:
    """A tool in several spellings; `use` draws a use for the property names that were drawn."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    properties: tuple[tuple[str, ...], ...]
    types: tuple[str, ...]
    use: Callable[[Random], tuple[str, list[Any], Any, str]]


_WEATHER = split_lines("""
What is the weather in {c}?
What's the weather in {c}?
What is the weather like in {c}?
How is the weather in {c}?
How's the weather in {c} today?
What's the weather like in {c} today?
Weather in {c}?
The weather in {c}, please.
Tell me the weather in {c}.
Can you check the weather in {c}?
Please check the weather in {c}.
Is it raining in {c}?
Is it sunny in {c}?
Is it cold in {c} right now?
Is it warm in {c}?
Will it rain in {c} today?
Do I need an umbrella in {c}?
How warm is it in {c}?
What is the temperature in {c}?
I am travelling to {c}. How is the weather there?
I am in {c}. What is the weather?
Give me the forecast for {c}.
What is the forecast for {c}?
Look up the weather for {c}.
Use the tool to get the weather in {c}.
Does it snow in {c}?
I live in {c}. Do I need a coat today?
Show me the current weather in {c}.
How hot is {c} today?
""")
_SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy")
_TIME = split_lines("""
What time is it in {c}?
What is the time in {c}?
Tell me the time in {c}.
What's the current time in {c}?
How late is it in {c}?
Current time in {c}?
Can you tell me what time it is in {c}?
I want to call a friend in {c}. What time is it there?
""")
_TOPICS = (
    "horses",
    "football",
    "music",
    "gardens",
    "cooking",
    "space",
    "history",
    "trains",
    "weather",
    "books",
    "films",
    "health",
    "bicycles",
    "bread",
    "computers",
)
_SONGS = (
    "Yellow River",
    "Blue Moon",
    "Summer Rain",
    "Golden Days",
    "Night Train",
    "Silver Bells",
    "Morning Song",
    "Old Friends",
    "Open Road",
)


_PROPERTY = (
    "The {k}",
    "The {k}",
    "The {k} to use",
    "Name of the {k}",
    "The city and state, e.g. San Francisco, CA",
    "{k}, for example as text",
)


def _city(rng: Random) -> str:
    if rng.random() < 0.12:
        heads, tails = (
            ("Nor", "Ael", "Bri", "Kal", "Mor", "Tel", "Zan", "Oru", "Vel"),
            ("ville", "burg", "ton", "holm", "dale", "mouth", "stad", "ford", "wick"),
        )
        return pick(rng, heads) + pick(rng, tails)
    return pick(rng, CITIES)


def _weather(rng: Random) -> tuple[str, list[Any], Any, str]:
    city, degrees, sky = _city(rng), rng.randint(-10, 38), pick(rng, _SKIES)
    key = pick(rng, ["temperature", "temp", "temp_c", "degrees"])
    result: Any = pick(
        rng,
        [
            {key: degrees, pick(rng, ["condition", "sky", "weather", "conditions"]): sky},
            {"city": city, key: degrees, "condition": sky},
            f"{degrees} degrees and {sky}",
            f"{sky}, {degrees} degrees",
            f"{degrees}C, {sky}",
        ],
    )
    return (
        pick(rng, _WEATHER).format(c=city),
        [city],
        result,
        f"It is {degrees} degrees and {sky} in {city}.",
    )


def _time(rng: Random) -> tuple[str, list[Any], Any, str]:
    city, clock = _city(rng), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    result: Any = pick(rng, [clock, {"time": clock}, {"city": city, "time": clock}])
    return pick(rng, _TIME).format(c=city), [city], result, f"It is {clock} in {city}."


def _calculate(rng: Random) -> tuple[str, list[Any], Any, str]:
    a, b, sign = rng.randint(1, 999), rng.randint(1, 99), pick(rng, "+-*")
    total = {"+": a + b, "-": a - b, "*": a * b}[sign]
    spoken = {"+": "plus", "-": "minus", "*": "times"}[sign]
    shown = f"{a} {pick(rng, [sign, sign, spoken])} {b}"
    ask = pick(
        rng,
        [
            "What is {e}?",
            "Calculate {e}.",
            "Use the calculator: {e}",
            "Compute {e} with the tool.",
            "How much is {e}?",
            "Please work out {e}.",
        ],
    )
    result: Any = pick(rng, [str(total), {"result": total}])
    return ask.format(e=shown), [f"{a} {sign} {b}"], result, f"{a} {sign} {b} = {total}."


def _add(rng: Random) -> tuple[str, list[Any], Any, str]:
    a, b = rng.randint(1, 999), rng.randint(1, 999)
    ask = pick(
        rng,
        [
            "Add {a} and {b}.",
            "What is {a} plus {b}?",
            "What is {a} + {b}?",
            "Sum {a} and {b}.",
            "Use the tool to add {a} and {b}.",
        ],
    )
    return (
        ask.format(a=a, b=b),
        [a, b],
        pick(rng, [str(a + b), {"sum": a + b}]),
        f"{a} + {b} = {a + b}.",
    )


def _search(rng: Random) -> tuple[str, list[Any], Any, str]:
    topic = pick(rng, _TOPICS)
    ask = pick(
        rng,
        [
            "Search for {t}.",
            "Look up {t}.",
            "Search the web for {t}.",
            "Find something about {t}.",
            "Find pages about {t}.",
        ],
    )
    number = rng.randint(2, 90)
    return (
        ask.format(t=topic),
        [topic],
        pick(rng, [{"count": number}, f"{number} results"]),
        f"I found {number} results about {topic}.",
    )


def _timer(rng: Random) -> tuple[str, list[Any], Any, str]:
    minutes = rng.randint(1, 90)
    ask = pick(
        rng,
        [
            "Set a timer for {m} minutes.",
            "Start a timer of {m} minutes.",
            "Wake me in {m} minutes.",
            "Remind me in {m} minutes.",
            "Timer for {m} minutes, please.",
        ],
    )
    return (
        ask.format(m=minutes),
        [minutes],
        pick(rng, ["ok", {"status": "ok"}, "done"]),
        f"The timer is set for {minutes} minutes.",
    )


def _email(rng: Random) -> tuple[str, list[Any], Any, str]:
    name, phrase = (
        pick(rng, NAMES),
        pick(
            rng,
            [
                "I am late",
                "dinner is ready",
                "see you soon",
                "the train is late",
                "call me",
                "happy birthday",
                "the meeting is at noon",
                "thank you",
            ],
        ),
    )
    ask = pick(
        rng,
        [
            "Send a message to {n}: {p}",
            "Tell {n}: {p}",
            "Write to {n}: {p}",
            "Message {n} that {p}.",
        ],
    )
    return (
        ask.format(n=name, p=phrase),
        [name, phrase],
        pick(rng, ["sent", {"status": "sent"}]),
        f"The message to {name} was sent.",
    )


def _money(rng: Random) -> tuple[str, list[Any], Any, str]:
    amount, (source, target) = (
        rng.randint(1, 500),
        rng.sample(["USD", "EUR", "GBP", "JPY", "CHF"], 2),
    )
    ask = pick(
        rng,
        [
            "Convert {a} {s} to {t}.",
            "How much is {a} {s} in {t}?",
            "Change {a} {s} into {t}.",
            "What is {a} {s} in {t}?",
        ],
    )
    value = rng.randint(1, 900)
    return (
        ask.format(a=amount, s=source, t=target),
        [amount, source, target],
        pick(rng, [str(value), {"amount": value}, {"result": value}]),
        f"{amount} {source} is {value} {target}.",
    )


def _play(rng: Random) -> tuple[str, list[Any], Any, str]:
    song = pick(rng, _SONGS)
    ask = pick(rng, ["Play {s}.", "Play the song {s}.", "I want to hear {s}.", "Put on {s}."])
    return (
        ask.format(s=song),
        [song],
        pick(rng, ["ok", "playing", {"status": "playing"}]),
        f"Now playing {song}.",
    )


def _order(rng: Random) -> tuple[str, list[Any], Any, str]:
    number = "".join(pick(rng, "ABCDEF0123456789") for _ in range(rng.randint(4, 6)))
    state = pick(rng, ["shipped", "delivered", "delayed", "packed", "cancelled"])
    ask = pick(
        rng,
        [
            "Where is my order {o}?",
            "What is the status of order {o}?",
            "Check order {o}.",
            "Look up order {o}.",
            "Has order {o} arrived?",
        ],
    )
    return (
        ask.format(o=number),
        [number],
        pick(rng, [state, {"status": state}]),
        f"Order {number} is {state}.",
    )


KINDS = (
    ToolKind(
        ("get_weather", "get_current_weather", "weather", "weather_lookup", "fetch_forecast"),
        (
            "Get the weather in a city",
            "Get the current weather for a given location",
            "Current weather of a place",
            "Weather for a city",
            "Returns the weather",
        ),
        (("city", "city", "location", "location", "place", "town"),),
        ("string",),
        _weather,
    ),
    ToolKind(
        ("get_time", "get_current_time", "current_time", "clock", "time_in"),
        ("Get the time in a city", "Current time of a place", "Tell the local time"),
        (("city", "location", "place", "timezone"),),
        ("string",),
        _time,
    ),
    ToolKind(
        ("calculator", "calculate", "evaluate", "compute", "math"),
        ("Evaluate an expression", "A calculator", "Calculate a mathematical expression"),
        (("expression", "expr", "input", "formula"),),
        ("string",),
        _calculate,
    ),
    ToolKind(
        ("add", "add_numbers", "sum", "plus"),
        ("Add two numbers", "Adds a and b"),
        (("a", "x", "first"), ("b", "y", "second")),
        ("number", "integer"),
        _add,
    ),
    ToolKind(
        ("search", "web_search", "search_web", "find", "lookup"),
        ("Search the web", "Search for documents", "Find pages"),
        (("query", "q", "text", "topic"),),
        ("string",),
        _search,
    ),
    ToolKind(
        ("set_timer", "start_timer", "timer", "set_alarm"),
        ("Set a timer", "Start a timer in minutes"),
        (("minutes", "duration", "time"),),
        ("integer",),
        _timer,
    ),
    ToolKind(
        ("send_message", "send_email", "message", "notify"),
        ("Send a message", "Send a message to somebody"),
        (("to", "recipient", "name"), ("text", "body", "message")),
        ("string", "string"),
        _email,
    ),
    ToolKind(
        ("convert_currency", "exchange", "convert"),
        ("Convert money", "Convert a currency"),
        (("amount", "value"), ("from", "source"), ("to", "target")),
        ("number", "string", "string"),
        _money,
    ),
    ToolKind(
        ("play_music", "play_song", "play"),
        ("Play a song", "Start music"),
        (("song", "title", "name"),),
        ("string",),
        _play,
    ),
    ToolKind(
        ("get_order", "order_status", "lookup_order"),
        ("Status of an order", "Look up an order"),
        (("order_id", "id", "order", "number"),),
        ("string",),
        _order,
    ),
)


@dataclass(frozen=True)
class Tool:
    """One declared tool: its JSON form, and the names its arguments were given."""

    kind: ToolKind
    declaration: Json
    keys: tuple[str, ...]

    def draw(self, rng: Random) -> Use:
        """A use of this tool."""
        question, values, result, answer = self.kind.use(rng)
        text = result if isinstance(result, str) else json.dumps(result)
        return Use(question, dict(zip(self.keys, values, strict=True)), text, answer)


def declare(rng: Random, kind: ToolKind) -> Tool:
    """A declaration of `kind`, with drawn names and as bare or as wordy as clients write them."""
    keys = tuple(pick(rng, options) for options in kind.properties)
    properties: Json = {}
    for key, kind_type in zip(keys, kind.types, strict=True):
        properties[key] = {"type": kind_type}
        if rng.random() < 0.25:
            properties[key]["description"] = pick(rng, _PROPERTY).format(k=key)
    required = list(keys)
    if kind.use is _weather and rng.random() < 0.2:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    parameters: Json = {"type": "object", "properties": properties}
    if rng.random() < 0.75:
        parameters["required"] = required
    if rng.random() < 0.1:
        parameters["additionalProperties"] = False
    function: Json = {"name": pick(rng, kind.names)}
    if rng.random() < 0.85:
        function["description"] = pick(rng, kind.descriptions) + pick(rng, ["", "."])
    function["parameters"] = parameters
    if rng.random() < 0.15:
        function = dict(sorted(function.items()))
    return Tool(kind, {"type": "function", "function": function}, keys)
