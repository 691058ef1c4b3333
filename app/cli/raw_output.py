"""What a model wrote, and what the API would make of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.registry import find_format
from app.chat.parsers.base import StreamParser
from app.chat.template import ChatTemplate
from app.core.events import Event
from app.core.messages import Tool
from app.services.parts import PartReader

# These are control tokens, without text in the API; an output that was copied may end with some.
_TURN_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|eot|>", "<|endoftext|>", "<eos>"),
    *("<end_of_turn>", "<turn|>", "<|end_of_text|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_msg|>"),
    *("<｜end▁of▁sentence｜>", "<end_of_sentence>", "[e~[", "<|endofassistant|>"),
)
_HTML_END = "</s>"  # a control token of others, if nothing opened it


@dataclass(frozen=True, slots=True)
class RawOutput:
    """One output to read. `chunk`: it arrives in pieces of so many characters, else all at once.
    `is_partial`: the model has not ended yet."""

    template: ChatTemplate
    tools: tuple[Tool, ...]
    prompt_suffix: str
    output: str
    chunk: int | None
    is_partial: bool = False

    def read(self) -> Iterator[list[Event]]:
        """The events that each piece brings, and those of the end."""
        parser = self._make_parser()
        reader = PartReader(choice=0, make_id=str)
        output = self.output if self.is_partial else _without_end(self.output)
        size = self.chunk or max(len(output), 1)
        for start in range(0, len(output), size):
            yield reader.read(parser.feed(output[start : start + size]))
        if not self.is_partial:
            yield reader.read(parser.finish())

    def _make_parser(self) -> StreamParser:
        traits = self.template.traits
        form = find_format(self.template.source)
        return form.make_parser(
            self.tools,
            thinks=traits.thinking,
            thought=traits.thought,
            prompt_end=self.prompt_suffix or self._find_lost_opener(form),
        )

    def _find_lost_opener(self, form: ChatFormat) -> str:
        """What begins a thought, where the output ends one that nothing began: the prompt did, and
        was not told. Some markers end other things too."""
        traits, output = self.template.traits, self.output.lstrip()
        thinks = traits.thinking or form.always_thinks
        if not thinks or form.layout or output.startswith(form.calls.openers.texts):
            return ""
        closers = (*form.strays, form.reply.close if form.reply else "")
        for thought in filter(None, (traits.thought, form.thought)):
            before, closed, _ = output.partition(thought.close)
            if closed and thought.close not in closers and thought.open not in before:
                return thought.open
        return ""


def _without_end(output: str) -> str:
    """The output without the end of the turn."""
    ends = (*_TURN_ENDS, *(() if "<s>" in output else (_HTML_END,)))
    while found := next((end for end in ends if output.rstrip().endswith(end)), None):
        output = output.rstrip().removesuffix(found)
    return output
