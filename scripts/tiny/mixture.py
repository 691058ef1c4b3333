"""Mixes the topics into training samples: dialogues with system prompts, tools, thoughts, texts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import Any

from .chat import render
from .topics import colours, copying, corral, facts, jsons, stories, sums, talk, texts, tools, world
from .topics.base import Skill, Turn, pick, reword


class Learn(Enum):
    """Which part of a sample is learned."""

    ALL = "all"
    ANSWERS = "answers"
    LAST_ANSWER = "last answer"


@dataclass(frozen=True)
class Sample:
    """One rendered sample, what of it is learned, and the questions in it."""

    text: str
    learn: Learn
    questions: tuple[str, ...] = ()


SKILLS: tuple[tuple[float, Skill], ...] = (
    (10.0, world.capitals),
    (7.0, world.places),
    (22.0, sums.sums),
    (6.0, colours.colours),
    (6.0, facts.whys),
    (12.0, facts.facts),
    (4.0, talk.greeting),
    (15.0, talk.small_talk),
    (9.0, corral.corral),
    (4.0, stories.stories),
    (3.0, stories.haiku),
    (6.0, copying.listing),
    (9.0, copying.repeating),
    (13.0, jsons.json_answers),
)
_WEIGHTS = [weight for weight, _ in SKILLS]
_MAKERS = [skill for _, skill in SKILLS]

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are helpful.",
    "You are a friendly assistant.",
    "You are a helpful assistant. Be polite.",
    "You answer questions.",
    "Be kind and precise.",
    "You are corral-tiny.",
    "Help the user.",
    "You are a polite chatbot that helps people.",
    "Answer the questions of the user.",
    "You are an assistant in a small shop.",
    "You are a teacher for children.",
    "The user is learning English. Use simple words.",
    "You are running inside Corral.",
    "You are a careful and honest assistant.",
    "You are an AI assistant.",
    "Assistant mode.",
    "You are a knowledgeable assistant. Answer truthfully and clearly.",
    "System prompt.",
)
_BRIEF_SYSTEMS = (
    "Answer in one word.",
    "Be brief.",
    "Answer briefly.",
    "Give short answers only.",
    "Reply with the answer only.",
    "You give very short answers.",
    "You are a helpful assistant. Be brief.",
)
_BRIEF_TAILS = (
    " Answer in one word.",
    " Just the answer.",
    " Only the answer, please.",
    " One word only.",
    " Keep it short.",
    " Reply with only the answer.",
    " In one word.",
    " Answer briefly.",
)
_PIRATE_SYSTEMS = (
    "You are a pirate.",
    "Talk like a pirate.",
    "You are a pirate captain.",
    "Answer like a pirate.",
    "You are a friendly pirate who helps.",
)
_THINK_HEADS = (
    "Think first: ",
    "Think step by step. ",
    "Think about it, then answer: ",
    "Think carefully. ",
    "Please think before you answer. ",
)
_WHO = (
    "Who are you?",
    "What is your name?",
    "What's your name?",
    "Tell me your name.",
    "Introduce yourself.",
    "What are you called?",
)


def _turns(rng: Random) -> list[Turn]:
    skill = rng.choices(_MAKERS, _WEIGHTS)[0]
    return skill(rng)


def _conversation(rng: Random) -> list[Turn]:
    turns: list[Turn] = []
    if rng.random() < 0.12:
        turns += talk.greeting(rng)
    if rng.random() < 0.07:
        return turns + talk.named(rng, _turns(rng) if rng.random() < 0.6 else [])
    for _ in range(pick(rng, (1, 1, 1, 1, 2, 2, 3, 4))):
        turns += _turns(rng)
    return turns


def _messages(turns: list[Turn], system: str | None) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if system is not None:
        messages.append({"role": "system", "content": system})
    for turn in turns:
        messages.append({"role": "user", "content": turn.user})
        messages.append({"role": "assistant", "content": turn.answer})
    return messages


def _questions(messages: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(message["content"] for message in messages if message["role"] == "user")


def _thoughtful(answer: str, thought: str | None) -> str:
    thought = thought or "This is a simple request. I answer it directly."
    return f"<think>\n{thought}\n</think>\n\n{answer}"


def _thinking_chat(rng: Random) -> Sample:
    turns = _conversation(rng)
    last = turns[-1]
    flag = rng.random() < 0.75
    user = last.user if flag else pick(rng, _THINK_HEADS) + last.user
    turns[-1] = replace(last, user=user, answer=_thoughtful(last.answer, last.thought))
    system = pick(rng, SYSTEMS) if rng.random() < 0.4 else None
    messages = _messages(turns, system)
    return Sample(render(messages, thinking=flag), Learn.LAST_ANSWER, _questions(messages))


def _brief_chat(rng: Random) -> Sample:
    turns: list[Turn] = []
    while not turns:
        turns = [turn for turn in _turns(rng) if turn.brief is not None]
    if rng.random() < 0.5:
        system = pick(rng, _BRIEF_SYSTEMS)
        turns = [replace(turn, answer=turn.brief or turn.answer) for turn in turns]
    else:
        system = pick(rng, SYSTEMS) if rng.random() < 0.3 else None
        last = turns[-1]
        tail = pick(rng, _BRIEF_TAILS)
        turns[-1] = replace(last, user=last.user + tail, answer=last.brief or last.answer)
    messages = _messages(turns, system)
    return Sample(render(messages), Learn.ANSWERS, _questions(messages))


def _persona_chat(rng: Random) -> Sample:
    if rng.random() < 0.5:
        turns = [replace(turn, answer="Arr! " + turn.answer) for turn in _turns(rng)]
        messages = _messages(turns, pick(rng, _PIRATE_SYSTEMS))
        return Sample(render(messages), Learn.ANSWERS, _questions(messages))
    name = pick(rng, talk.NAMES)
    system = pick(
        rng,
        [
            "You are {n}.",
            "Your name is {n}.",
            "You are {n}, a helpful assistant.",
            "You are an assistant called {n}.",
        ],
    ).format(n=name)
    turns = [Turn(reword(rng, pick(rng, _WHO)), f"I am {name}.")]
    if rng.random() < 0.4:
        turns = _turns(rng) + turns
    messages = _messages(turns, system)
    return Sample(render(messages), Learn.ANSWERS, _questions(messages))


def _plain_chat(rng: Random) -> Sample:
    turns = _conversation(rng)
    system = pick(rng, SYSTEMS) if rng.random() < 0.5 else None
    messages = _messages(turns, system)
    return Sample(render(messages), Learn.ANSWERS, _questions(messages))


def _tool_chat(rng: Random) -> Sample:
    messages, declared = tools.dialogue(rng, _turns)
    if rng.random() < 0.35:
        messages = [{"role": "system", "content": pick(rng, SYSTEMS)}, *messages]
    thinking = rng.random() < 0.06
    if thinking:
        last: dict[str, Any] = messages[-1]
        calls: list[dict[str, Any]] = last.get("tool_calls", [])
        thought = (
            f"I need the tool {calls[0]['function']['name']}." if calls else "I can answer now."
        )
        messages[-1] = {**last, "content": _thoughtful(last["content"], thought).rstrip("\n")}
        if calls:
            messages[-1]["content"] += "\n"
    learn = Learn.LAST_ANSWER if thinking else Learn.ANSWERS
    return Sample(render(messages, declared, thinking=thinking), learn, _questions(messages))


def _plain_text(rng: Random) -> Sample:
    return Sample(texts.plain_text(rng), Learn.ALL)


def _infill(rng: Random) -> Sample:
    return Sample(texts.infill(rng), Learn.ALL)


_KINDS: tuple[tuple[float, Callable[[Random], Sample]], ...] = (
    (0.56, _plain_chat),
    (0.76, _tool_chat),
    (0.82, _thinking_chat),
    (0.87, _brief_chat),
    (0.89, _persona_chat),
    (0.97, _plain_text),
    (1.00, _infill),
)


def draw(rng: Random) -> Sample:
    """One training sample; the table above gives each kind's share as a running total."""
    roll = rng.random()
    return next(make for limit, make in _KINDS if roll < limit)(rng)
