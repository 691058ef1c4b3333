"""Dialogues in which tools are offered: called when they fit, left alone when they do not."""

from collections.abc import Callable
from random import Random
from typing import Any

from .base import Turn, pick, reword
from .toolbox import KINDS, Json, Tool, Use, declare

Dialogue = tuple[list[Json], list[Json]]


def _call(tool: Tool, use: Use) -> Json:
    name = tool.declaration["function"]["name"]
    return {"type": "function", "function": {"name": name, "arguments": use.arguments}}


def _ask(rng: Random, use: Use) -> str:
    question = reword(rng, use.question, noise=False)
    if rng.random() < 0.12:
        question = question.rstrip("?!. ")
    return question


def _used(rng: Random, tool: Tool) -> list[Json]:
    use = tool.draw(rng)
    messages: list[Json] = [
        {"role": "user", "content": _ask(rng, use)},
        {"role": "assistant", "content": "", "tool_calls": [_call(tool, use)]},
    ]
    if rng.random() < 0.75:
        messages.append({"role": "tool", "content": use.result})
        messages.append({"role": "assistant", "content": use.answer})
    return messages


def _two_cities(rng: Random, tool: Tool) -> list[Json]:
    first, second = tool.draw(rng), tool.draw(rng)
    key = tool.keys[0]
    a, b = first.arguments[key], second.arguments[key]
    ask = pick(
        rng,
        [
            "What is the weather in {a} and in {b}?",
            "Compare the weather in {a} and {b}.",
            "Weather in {a} and {b}?",
            "Is it warmer in {a} or in {b}?",
        ],
    )
    return [
        {"role": "user", "content": ask.format(a=a, b=b)},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [_call(tool, first), _call(tool, second)],
        },
        {"role": "tool", "content": first.result},
        {"role": "tool", "content": second.result},
        {"role": "assistant", "content": f"{first.answer} {second.answer}"},
    ]


def _plain(turns: list[Turn]) -> list[Json]:
    messages: list[Json] = []
    for turn in turns:
        messages.append({"role": "user", "content": turn.user})
        messages.append({"role": "assistant", "content": turn.answer})
    return messages


def dialogue(rng: Random, other: Callable[[Random], list[Turn]]) -> Dialogue:
    """Messages and tools: one to three tools, one or two rounds, sometimes a plain question."""
    count = pick(rng, (1, 1, 1, 1, 2, 2, 3))
    weather = rng.random() < 0.45
    kinds = rng.sample(KINDS, count)
    if weather and KINDS[0] not in kinds:
        kinds[rng.randrange(count)] = KINDS[0]
    tools = [declare(rng, kind) for kind in kinds]
    messages: list[Json] = []
    for _ in range(pick(rng, (1, 2, 3, 4))):
        chosen = pick(rng, tools)
        if weather and rng.random() < 0.5:
            chosen = next(tool for tool in tools if tool.kind is KINDS[0])
        roll = rng.random()
        if roll < 0.25:
            messages += _plain(other(rng))
        elif roll < 0.33 and chosen.kind is KINDS[0]:
            messages += _two_cities(rng, chosen)
        else:
            messages += _used(rng, chosen)
        if "tool_calls" in messages[-1]:
            break
    declarations: list[Any] = [tool.declaration for tool in tools]
    return messages, declarations
