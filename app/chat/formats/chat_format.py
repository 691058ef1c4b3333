"""What a format of answers is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.lark import Outset
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import CallSyntax, Layout, Reply, Thought, WritesCalls
from app.chat.parsers.base import PlainParser, StreamParser
from app.chat.parsers.envelope import AnswerParser, Envelope
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
    `bare`: how calls are written without markers. `held`: what calls in free text are held to,
    where that is more than `calls`; `outset`: the same for answers that are made of calls.
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
    bare: CallSyntax | None = None
    held: WritesCalls | None = None
    outset: Outset | None = None

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
        self,
        tools: Sequence[Tool],
        *,
        thinks: bool,
        prompt_end: str = "",
        thought: Thought | None = None,
    ) -> StreamParser:
        """The parser of one answer to a prompt that ends with `prompt_end`. `thought`: the markers
        that the template was found to have, if they are not those of the format."""
        if self.layout is not None:
            return AnswerParser(self.name, self.layout(Toolbox(tools), prompt_end).read)
        envelope = self._make_envelope(tools, prompt_end, thought, thinks=thinks)
        if not (tools or envelope.thoughts or self.reply or self.strays):
            return PlainParser()
        return AnswerParser(self.name, envelope.read)

    def find_open_call(self, tools: Sequence[Tool], prompt_end: str) -> str:
        """The call that the end of a prompt leaves open, from its opener on; empty for none."""
        if self.layout is not None:
            return self.layout(Toolbox(tools), prompt_end).open_call
        return self._make_envelope(tools, prompt_end, None, thinks=True).open_call

    def _make_envelope(
        self, tools: Sequence[Tool], prompt_end: str, other: Thought | None, *, thinks: bool
    ) -> Envelope:
        thoughts = (self.thought,)
        if other is not None and other.close != self.thought.close:
            thoughts = (self.thought, other)
        opened = next((one for one in thoughts if one.is_open(prompt_end)), None)
        if opened is not None:
            thoughts = (opened, *(one for one in thoughts if one is not opened))
        elif not (thinks or self.always_thinks):
            thoughts = ()
        begun = None if opened is None else opened.left_open(prompt_end)
        envelope = Envelope(
            thoughts=thoughts,
            calls=self.calls,
            toolbox=Toolbox(tools),
            reply=self.reply,
            strays=self.strays,
            call_strays=self.call_strays,
            bare=self.bare,
            begun=begun,
            has_reply_begun=self.reply is not None and self.reply.is_open(prompt_end),
        )
        if not tools or (opened is not None and not opened.ends_at_call):
            return envelope
        answer = begun if begun is not None else self.thought.after(prompt_end)
        return replace(envelope, open_call=envelope.find_open_call(answer))
