"""How a template and its model think: markers of thoughts, and the variables that steer them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.chat.parsers.answer import Thought

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
# what a model can be trusted to know whose template writes the word down as it is given
_USUAL_EFFORTS = ("low", "medium", "high")
_EFFORT_NAMES = ("reasoning_effort", "thinking_effort", "reasoning_strength")
_ECHO = "sentineleffort"

# Thoughts whose end is not the start with a slash. Those under _PLAIN are known by sight.
_UNLIKE = (
    Thought("<|channel|>analysis<|message|>", "<|end|>"),
    Thought("<|channel>thought\n", "<channel|>"),
    Thought("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    Thought("<|inner_prefix|>", "<|inner_suffix|>"),
    Thought("<|think|>", "<|end|>"),
    Thought(" to=self<|message|>", "<|eom|>"),
    Thought("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),
)
_PLAIN = (
    Thought("<think>", "</think>"),
    Thought("[THINK]", "[/THINK]"),
    Thought("<thinking>", "</thinking>"),
    Thought("◁think▷", "◁/think▷"),
    Thought("<|START_THINKING|>", "<|END_THINKING|>"),
)
_TAG = re.compile(r"([<\[])([^\s<>\[\]/]{1,40})([>\]])$")


@dataclass(frozen=True, slots=True)
class Switch:
    """The variable that turns thinking on and off, and its values for that."""

    variable: str
    on: Any
    off: Any


@dataclass(frozen=True, slots=True)
class Effort:
    """The variable that says how hard to think; `levels` are those of OpenAI's that it takes."""

    variable: str
    levels: tuple[str, ...]

    def nearest(self, wanted: str) -> str:
        place = EFFORTS.index(wanted)
        return min(reversed(self.levels), key=lambda level: abs(EFFORTS.index(level) - place))


_SWITCHES = (
    Switch("enable_thinking", on=True, off=False),
    Switch("thinking", on=True, off=False),
    Switch("reasoning", on=True, off=False),
    Switch("thinking_mode", on="enabled", off="disabled"),
    Switch("thinking_budget", on=-1, off=0),
    Switch("reasoning_effort", on="high", off="none"),
    Switch("reasoning_effort", on="high", off="no_think"),
    Switch("reasoning_effort", on="high", off="minimal"),
)

Ask = Callable[[Mapping[str, Any]], str]


def find_switch(ask: Ask, reads: frozenset[str]) -> Switch | None:
    """The first variable whose two values make different prompts of one conversation.

    `ask` renders with variables ("" where it is refused), `reads` are those the template reads.
    """
    for switch in _SWITCHES:
        if switch.variable not in reads or _echoes(ask, switch.variable):
            continue
        on, off = (ask({switch.variable: value}) for value in (switch.on, switch.off))
        if on and off and on != off:
            return switch
    return None


def find_effort(ask: Ask, reads: frozenset[str]) -> Effort | None:
    for name in _EFFORT_NAMES:
        if name not in reads:
            continue
        if _echoes(ask, name):
            return Effort(name, _USUAL_EFFORTS)
        rendered = {level: ask({name: level}) for level in EFFORTS}
        taken = tuple(level for level, text in rendered.items() if text)
        if len({rendered[level] for level in taken}) > 1:
            return Effort(name, taken)
    return None


def _echoes(ask: Ask, variable: str) -> bool:
    return _ECHO in ask({variable: _ECHO})


def find_thought(before: str, after: str, prompt: str) -> Thought | None:
    """The markers around a thought, from the text on both sides of it. Some models' thoughts are
    begun by the `prompt` only."""
    before, after, prompt = before.rstrip(), after.lstrip(), prompt.rstrip()
    for known in (*_UNLIKE, *_PLAIN):
        begin = known.open.rstrip()
        if after.startswith(known.close) and (before.endswith(begin) or prompt.endswith(begin)):
            return known
    if match := _TAG.search(before):
        left, name, right = match.groups()
        tag = Thought(match[0], f"{left}/{name}{right}")
        return tag if after.startswith(tag.close) else None
    return None


def spot_thought(source: str) -> Thought | None:
    """The markers that a template's source tells of."""
    return next((one for one in _PLAIN if one.open in source or one.close in source), None)


def steer(
    thinking: bool | None, effort: str | None, switch: Switch | None, lever: Effort | None
) -> dict[str, Any]:
    """The template's variables for what a request wants.

    Any effort but `none` turns thinking on. Where nothing was found to steer with, both are given
    under their usual names. Where there is no switch, no thinking is as little as there is.
    """
    if effort == "none":
        thinking, effort = False, None
    elif effort is not None and thinking is None:
        thinking = True
    made: dict[str, Any] = {}
    if thinking is not None and switch is not None:
        made[switch.variable] = switch.on if thinking else switch.off
        effort = effort if thinking else None
    elif thinking is False and lever is not None:
        effort = lever.levels[0]
    elif thinking is not None:
        made["enable_thinking"] = thinking
    if effort is not None:
        name = lever.variable if lever else "reasoning_effort"
        made[name] = lever.nearest(effort) if lever else effort
    return made
