"""How a template writes tools, earlier calls and what came of them."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from app.chat.conventions import Conventions
from app.chat.tool_text import CallWriter
from app.chat.trial import USER, Trial, has
from app.core.messages import Message, Tool, ToolCall

TOOLS = tuple(
    Tool(
        name,
        f"Does {name}",
        {
            "type": "object",
            "properties": {"sentinelkey": {"type": "string", "description": "A word"}},
            "required": ["sentinelkey"],
        },
    )
    for name in ("sentineltool", "sentinelother")
)
ODD_TOOL = Tool(
    "sentineltool",
    parameters={
        "type": "object",
        "properties": {
            "sentinelkey": {"type": ["string", "null"]},
            "any": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "list": {"type": "array"},
        },
    },
)
CALLS = tuple(
    ToolCall(f"call_sentinel{number}", tool.name, f'{{"sentinelkey": "sentinelvalue{number}"}}')
    for number, tool in enumerate(TOOLS)
)
RESULTS = tuple(
    Message("tool", f"sentinelresult{number}", tool_call_id=call.id)
    for number, call in enumerate(CALLS)
)
CALLING = Message("assistant", tool_calls=CALLS[:1])


def find_schema_form(trial: Trial) -> bool:
    """Whether tools are written, and whether with any parameters."""
    if "sentineltool" not in trial.ask(USER, tools=TOOLS):
        return False
    said = replace(trial.said, flat_schemas=True)
    if not trial.ask(USER, tools=(ODD_TOOL,)) and trial.ask(USER, said=said, tools=(ODD_TOOL,)):
        trial.said = said
    return True


def find_call_form(trial: Trial) -> tuple[bool, bool]:
    """How earlier calls are written: as well as any form can make them."""
    best, found = 0, trial.said
    for said in _call_forms(trial.said):
        text = trial.ask(USER, CALLING, RESULTS[0], said=said, tools=TOOLS)
        score = 2 * _has_call(text, 0) + ("sentinelresult0" in text)
        if score > best:
            best, found = score, said
        if best == 3:
            break
    trial.said = found
    if best & 1:
        _find_result_names(trial)
    if best >= 2:
        _find_content_form(trial)
    return best >= 2, best & 1 == 1


def find_tool_text(
    trial: Trial, write: CallWriter, *, system: bool, tools: bool, calls: bool, results: bool
) -> None:
    """What the template cannot write is told in plain text, where that works."""
    said = trial.said
    if not calls:
        said = replace(said, calls=write)
    if not results:
        said = replace(said, results="user")
    if said != trial.said:
        text = trial.ask(USER, CALLING, RESULTS[0], said=said, tools=TOOLS)
        if not (_has_call(text, 0) and "sentinelresult0" in text):
            return
    if not tools:
        said = replace(said, tools="system" if system else "user")
        if not has(trial.ask(USER, said=said, tools=TOOLS), "sentineltool", "sentineluser"):
            return
    trial.said = said


def _find_result_names(trial: Trial) -> None:
    """A name is given where the prompt would have a hole without it."""
    named = replace(RESULTS[0], name="sentinelname")
    without = trial.ask(USER, CALLING, RESULTS[0], tools=TOOLS)
    text = trial.ask(USER, CALLING, named, tools=TOOLS)
    if "sentinelname" in text and text.replace("sentinelname", "") == without:
        trial.said = replace(trial.said, names_results=True)


def _find_content_form(trial: Trial) -> None:
    calling = replace(CALLING, content="sentinelanswer")
    if not _has_call(trial.ask(USER, calling, RESULTS[0], tools=TOOLS), 0):
        said = replace(trial.said, splits_content=True)
        text = trial.ask(USER, calling, RESULTS[0], said=said, tools=TOOLS)
        if _has_call(text, 0) and "sentinelanswer" in text:
            trial.said = said


def find_parallel_form(trial: Trial) -> bool:
    turns = (USER, Message("assistant", tool_calls=CALLS), *RESULTS)
    if _has_round(trial.ask(*turns, tools=TOOLS)):
        return True
    said = replace(trial.said, splits_calls=True)
    if _has_round(trial.ask(*turns, said=said, tools=TOOLS)):
        trial.said = said
    return False


def _call_forms(said: Conventions) -> Iterable[Conventions]:
    for short, content, text in product((False, True), ("", "none", "undefined"), (False, True)):
        yield replace(said, short_ids=short, empty_content=content, text_arguments=text)


def _has_call(text: str, number: int) -> bool:
    """The call is there, and its arguments neither JSON within JSON nor Python."""
    written = text[text.find("sentineluser") :]
    spoilt = '\\"sentinelkey' in written or "'sentinelkey'" in written
    return not spoilt and has(written, CALLS[number].name, "sentinelkey", f"sentinelvalue{number}")


def _has_round(text: str) -> bool:
    return all(_has_call(text, number) and f"sentinelresult{number}" in text for number in (0, 1))
