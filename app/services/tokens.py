"""Prompts as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.template import ChatTemplate
from app.core.errors import (
    BadRequest,
    ContextLengthExceeded,
    TemplateRefused,
    UnsupportedOperation,
)
from app.core.messages import Message
from app.core.requests import ChatPrompt, Prompt, TokenPrompt
from app.pool.loaded import LoadedModel, Tokenizer, spell


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """`text` is what `echo` returns, of token ids only made for it; `has_added_bos`: the first
    token is not in the text. `suffix`: what of a chat's text the reader of the answer needs."""

    tokens: tuple[int, ...]
    text: str
    has_added_bos: bool = False
    opens_reasoning: bool = False
    suffix: str = ""


def choose_template(prompts: Sequence[Prompt], loaded: LoadedModel) -> ChatTemplate | None:
    """What writes the chats among the prompts; None where there are none. Raises TemplateRefused
    where the model has no template that works."""
    chats = [prompt for prompt in prompts if isinstance(prompt, ChatPrompt)]
    if not chats:
        return None
    if loaded.template_error is not None:
        raise TemplateRefused(
            f"The model '{loaded.info.id}' cannot chat: {loaded.template_error}", param="model"
        )
    if loaded.tool_template is not None and any(chat.tools for chat in chats):
        return loaded.tool_template
    return loaded.template


def tokenize_prompt(
    prompt: Prompt,
    loaded: LoadedModel,
    template: ChatTemplate | None,
    *,
    has_echo: bool = False,
    seconds: float | None = None,
) -> TokenizedPrompt:
    """Raises BadRequest and its kin. Chat prompts need `template`, which may take `seconds`.

    Long prompts take a while: call it off the event loop.
    """
    if isinstance(prompt, ChatPrompt):
        if template is None:
            raise ValueError("a chat prompt needs a template")
        return _tokenize_chat(prompt, loaded, template, seconds)
    if isinstance(prompt, TokenPrompt):
        return _take_tokens(prompt, loaded, has_echo=has_echo)
    if prompt.suffix is not None:
        return _tokenize_infill(prompt.text, prompt.suffix, loaded)
    tokens = _with_special(loaded.tokenizer, prompt.text)
    return _made(tokens, prompt.text, loaded.tokenizer)


def check_tokens(tokens: Sequence[int], tokenizer: Tokenizer, *, param: str) -> None:
    for token in tokens:
        if not 0 <= token < tokenizer.size:
            raise BadRequest(
                f"'{param}' holds the token id {token}, but this model's ids are 0 to "
                f"{tokenizer.size - 1}.",
                param=param,
            )


def _tokenize_chat(
    prompt: ChatPrompt, loaded: LoadedModel, template: ChatTemplate, seconds: float | None
) -> TokenizedPrompt:
    if prompt.tools and not template.traits.takes_tools:
        raise UnsupportedOperation(
            f"The chat template of '{loaded.info.id}' has no place for tools.", param="tools"
        )
    rendered = template.render(
        _with_system(prompt.messages, loaded.system_prompt),
        tools=prompt.tools,
        thinking=prompt.thinking,
        effort=prompt.effort,
        variables=prompt.template_kwargs,
        seconds=seconds,
    )
    return TokenizedPrompt(
        tokens=tuple(_with_special(loaded.tokenizer, rendered.text)),
        text=rendered.text,
        opens_reasoning=rendered.opens_reasoning,
        suffix=rendered.suffix,
    )


def _with_system(messages: tuple[Message, ...], prompt: str | None) -> tuple[Message, ...]:
    """The model's system prompt stands in where the request has none."""
    if prompt is None or any(message.role in ("system", "developer") for message in messages):
        return messages
    return (Message("system", prompt), *messages)


def _with_special(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens with BOS exactly once where the model wants it, and never a closing EOS of ours."""
    tokens = tokenizer.tokenize(text, add_special=True, parse_special=True)
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    if bos is not None and tokens[:2] == [bos, bos]:
        del tokens[0]
    if tokens and tokens[-1] == eos and not text.endswith(spell(tokenizer, eos)):
        tokens.pop()
    return tokens


def _take_tokens(prompt: TokenPrompt, loaded: LoadedModel, *, has_echo: bool) -> TokenizedPrompt:
    """The length comes first: looking at millions of ids that cannot fit takes seconds."""
    window, tokenizer = loaded.info.context_window, loaded.tokenizer
    if len(prompt.tokens) >= window:
        raise ContextLengthExceeded(
            n_prompt_tokens=len(prompt.tokens), n_ctx=window, param="prompt"
        )
    if not prompt.tokens:
        raise BadRequest("The prompt is empty.", param="prompt")
    check_tokens(prompt.tokens, tokenizer, param="prompt")
    text = tokenizer.detokenize(prompt.tokens) if has_echo else ""
    return TokenizedPrompt(tokens=prompt.tokens, text=text)


def _tokenize_infill(prefix: str, suffix: str, loaded: LoadedModel) -> TokenizedPrompt:
    tokenizer = loaded.tokenizer
    marks = tokenizer.infill_tokens
    if marks is None:
        raise UnsupportedOperation(
            f"The model '{loaded.info.id}' has no fill-in-the-middle tokens.", param="suffix"
        )
    opening = [token for token in _with_special(tokenizer, "") if token == tokenizer.bos_token]
    before = tokenizer.tokenize(prefix, add_special=False, parse_special=False)
    after = tokenizer.tokenize(suffix, add_special=False, parse_special=False)
    return _made([*opening, marks[0], *before, marks[1], *after, marks[2]], prefix, tokenizer)


def _made(tokens: list[int], text: str, tokenizer: Tokenizer) -> TokenizedPrompt:
    """An empty prompt starts from BOS, or from EOS: the model needs something to go on from."""
    start = tokenizer.bos_token if tokenizer.bos_token is not None else tokenizer.eos_token
    if not tokens:
        if start is None:
            raise BadRequest("The prompt is empty.", param="prompt")
        tokens = [start]
    has_added = tokens[0] == start and not text.startswith(spell(tokenizer, start))
    return TokenizedPrompt(tokens=tuple(tokens), text=text, has_added_bos=has_added)
