"""The formats of answers that models write, and which template speaks which."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import AnswerParser, CallSyntax, Envelope, Thought
from app.chat.parsers.base import PlainParser, StreamParser
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

_THINK = Thought(THINK_OPEN, THINK_CLOSE)


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """`signs`: a template that has all of these texts speaks this format."""

    name: str
    signs: tuple[str, ...]
    calls: CallSyntax
    thought: Thought = _THINK

    def make_parser(
        self, tools: Sequence[Tool], *, thinks: bool, prompt_end: str = ""
    ) -> StreamParser:
        """The parser of one answer to a prompt that ends with `prompt_end`."""
        starts_in_thought = self.thought.is_open(prompt_end)
        thinks = thinks or starts_in_thought
        if not (tools or thinks):
            return PlainParser()
        envelope = Envelope(
            thought=self.thought if thinks else None,
            calls=self.calls if tools else None,
            toolbox=Toolbox(tools),
            starts_in_thought=starts_in_thought,
        )
        return AnswerParser(self.name, envelope.read)


HERMES = ChatFormat("hermes", (), JsonCalls("<tool_call>", "</tool_call>"))

# The more particular come first; the last one is for all the rest.
FORMATS = (HERMES,)


def find_format(source: str) -> ChatFormat:
    """The format of a template."""
    return next(one for one in FORMATS if all(sign in source for sign in one.signs))
