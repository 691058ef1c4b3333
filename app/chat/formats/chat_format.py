"""What a format of answers is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import (
    AnswerParser,
    CallSyntax,
    Envelope,
    Layout,
    Reply,
    Thought,
    WritesCalls,
)
from app.chat.parsers.base import PlainParser, StreamParser
from app.chat.parsers.toolbox import Toolbox
from app.core.messages import Tool

THINK = Thought(THINK_OPEN, THINK_CLOSE)


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """How a family of models writes thoughts, text and tool calls.

    `name` is what `tool_format:` in models.yaml says. A template that has all of the texts in
    `signs` speaks this format; without signs only its name chooses it. `layout`: an order of the
    parts that is not the usual one of `Envelope`. `reply`: what stands around the text. `strays`:
    markup between the parts that says nothing; `call_strays`: around calls. `always_thinks`: also
    where the template does not say so. `turn`: what stands between a thought and what follows it.
    `lead`: what text begins with. `bare`: how calls are written without markers. `held`: what calls
    in free text are held to, where that is more than `calls`.
    """

    name: str
    signs: tuple[str, ...]
    calls: CallSyntax
    thought: Thought = THINK
    strays: tuple[str, ...] = ()
    call_strays: tuple[str, ...] = ()
    always_thinks: bool = False
    layout: type[Layout] | None = None
    reply: Reply | None = None
    turn: str = "\n\n"
    lead: str = ""
    bare: CallSyntax | None = None
    held: WritesCalls | None = None

    def is_spoken_by(self, template: str) -> bool:
        return bool(self.signs) and all(sign in template for sign in self.signs)

    def markers(self, *, has_tools: bool) -> tuple[str, ...]:
        """What the parser must see of an answer, also where a vocabulary has it as a control token,
        which otherwise has no text."""
        if self.layout is not None:
            return self.layout.markers
        thought = (self.thought.open, self.thought.close)
        reply = (self.reply.open, self.reply.close) if self.reply else ()
        calls = (*self.calls.markers, *self.call_strays) if has_tools else ()
        return (*thought, *reply, *self.strays, *calls)

    def held_to(self, *, must: bool) -> CallSyntax | WritesCalls:
        """What calls under a constraint are written in. A bracket is no sign of a call: without
        markers they are demanded, or held to what `held` knows them by."""
        return (self.bare if must else self.held) or self.calls

    def make_parser(
        self, tools: Sequence[Tool], *, thinks: bool, prompt_end: str = ""
    ) -> StreamParser:
        """The parser of one answer to a prompt that ends with `prompt_end`."""
        if self.layout is not None:
            return AnswerParser(self.name, self.layout(Toolbox(tools), prompt_end).read)
        begun = self.thought.left_open(prompt_end)
        thinks = thinks or begun is not None or self.always_thinks
        if not (tools or thinks or self.reply or self.strays):
            return PlainParser()
        envelope = Envelope(
            thought=self.thought if thinks else None,
            calls=self.calls,
            bare=self.bare,
            toolbox=Toolbox(tools),
            reply=self.reply,
            strays=self.strays,
            call_strays=self.call_strays,
            begun=begun,
        )
        return AnswerParser(self.name, envelope.read)
