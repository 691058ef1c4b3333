"""Chat messages and tools in neutral form: what every dialect decodes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call an assistant message made. `arguments` is JSON text, as on OpenAI's wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Content parts are already joined: `content` is plain text, or None when absent.

    `parts` are those parts, where there were several: some templates join them in a way of theirs.
    """

    role: Role
    content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextGrammar:
    """Describes whole texts: a grammar in Lark, or a regular expression."""

    definition: str
    syntax: Literal["lark", "regex"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is a JSON schema, or None for no arguments;
    `source` the request field it stood in. `strict`: the schema must be one for OpenAI's strict
    mode. `grammar`: what the one argument of a custom tool, a text, is held to; to the letter, or
    the tool is refused."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool = False
    source: str = "tools"
    grammar: TextGrammar | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools may be called. `names`: no others than these; None for all. `must`: the answer is
    made of calls. `many`: it may have more than one."""

    names: frozenset[str] | None = None
    must: bool = False
    many: bool = True
