"""What may stand around an answer that is held to something: from a prompt and the format that its
model writes."""

from dataclasses import replace

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.answer import FindsCalls, Reply, Thought, WritesCalls
from app.core.errors import UnsupportedOperation
from app.core.requests import ChatPrompt
from app.engine.constraint import Calls, Frame
from app.services.tokens import TokenizedPrompt


def make_frame(
    prompt: ChatPrompt, tokenized: TokenizedPrompt, thought: Thought | None, spoken: ChatFormat
) -> Frame:
    """`thought`: the markers that the template was found to have, of a model that thinks. Raises
    UnsupportedOperation where calls are demanded in a format that cannot be held to them."""
    calls = _make_calls(prompt, spoken, tokenized.suffix) if prompt.tools else None
    last = prompt.messages[-1]
    is_begun = last.role == "assistant" and bool(last.content)
    reply = _find_reply(spoken, tokenized.suffix, is_begun=is_begun)
    if thought is None:
        return Frame(calls=calls, reply=reply)
    state = "optional"
    if tokenized.opens_reasoning:
        state = "open"
    elif is_begun or thought.has_ended(tokenized.suffix):
        state = "none"
    ends_at_call = spoken.thought.ends_at_call
    return Frame(state, thought.open, thought.close, calls, ends_at_call, spoken.turn, reply)


def _find_reply(spoken: ChatFormat, prompt_end: str, *, is_begun: bool) -> Reply | None:
    """What of the markers around the text is still to come after a prompt."""
    reply = spoken.reply
    if reply is None:
        return None
    if reply.is_open(prompt_end):
        return Reply("", reply.close, reply.pad)
    if is_begun:
        return None
    lead = reply.lead
    here = next((at for at in range(len(lead), 0, -1) if prompt_end.endswith(lead[:at])), 0)
    return replace(reply, open=lead[here:]) if here else reply


def _make_calls(prompt: ChatPrompt, spoken: ChatFormat, prompt_end: str) -> Calls | None:
    """None where the calls of a format are not constrained."""
    choice = prompt.tool_choice
    syntax = spoken.held_to(must=choice.must)
    if not isinstance(syntax, WritesCalls):
        if choice.must:
            raise UnsupportedOperation(
                f"Calls cannot be demanded of a model that writes the format '{spoken.name}'.",
                param="tool_choice",
            )
        return None
    allowed = (t for t in prompt.tools if choice.names is None or t.name in choice.names)
    tools = tuple({tool.name: tool for tool in allowed}.values())
    open_call = spoken.find_open_call(prompt.tools, prompt_end)
    return Calls(
        syntax.write,
        syntax.openers.texts,
        tools,
        must=choice.must,
        many=choice.many,
        prompt_end=prompt_end,
        open_call=open_call,
        find=syntax.find if isinstance(syntax, FindsCalls) and not choice.must else None,
        outset=None if open_call else spoken.outset,
    )
