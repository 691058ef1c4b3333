"""What the scripted model answers: the user's last message says it, line by line.

    think I should look it up         opens the answer with a thought
    call get_weather {"city": "Rome"} calls a tool; two lines are two calls in one answer
    then                              what follows is for the answer after the tools' results
    say It is warm.                   is said as it stands; further such lines are further lines

Lines that are none of these are no script; `questions` has scripts for messages that are not ours.
A message without any is answered by `PLAIN`, and whatever comes after the last step by a sentence
that quotes the tools' results.
"""

import json
import re
from dataclasses import dataclass

from tests.support.questions import find_script

PLAIN = "This answer was written in advance."

_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
_RESULT = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)
_LINE = re.compile(r"(think|call|say|then)\b ?(.*)")


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    text: str

    @property
    def results(self) -> list[str]:
        """What the tools returned, where this turn carries it."""
        return _RESULT.findall(self.text) if self.role == "user" else []


def reply(prompt: str) -> str:
    """The whole answer to a prompt in the template of corral-tiny, in that model's own format."""
    turns = [Turn(role, text) for role, text in _TURN.findall(prompt)]
    asked = max(
        (at for at, turn in enumerate(turns) if turn.role == "user" and not turn.results),
        default=len(turns),
    )
    after = turns[asked + 1 :]
    steps = read_script(turns[asked].text) if asked < len(turns) else []
    done = sum(turn.role == "assistant" for turn in after)
    if done < len(steps):
        return steps[done]
    results = [result for turn in after for result in turn.results]
    return f"The tools say: {'; '.join(results)}" if results else PLAIN


def read_script(text: str) -> list[str]:
    """The answers that a user's message asks for, in order."""
    lines = [
        match.groups() for line in find_script(text).splitlines() if (match := _LINE.match(line))
    ]
    steps: list[list[tuple[str, str]]] = [[]]
    for verb, rest in lines:
        if verb == "then":
            steps.append([])
        else:
            steps[-1].append((verb, rest))
    return [_write(step) for step in steps if step]


def _write(step: list[tuple[str, str]]) -> str:
    parts: list[str] = []
    for verb, rest in step:
        match verb:
            case "think":
                parts.append(f"<think>\n{rest}\n</think>\n")
            case "call":
                name, _, arguments = rest.partition(" ")
                call = f'{{"name": {json.dumps(name)}, "arguments": {arguments or "{}"}}}'
                parts.append(f"<tool_call>\n{call}\n</tool_call>")
            case _:
                parts.append(rest)
    return "\n".join(parts)
