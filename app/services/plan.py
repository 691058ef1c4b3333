"""From a request and a loaded model to validated sequences: every refusal happens here."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.registry import find_format
from app.chat.parsers.base import PlainParser, StreamParser
from app.chat.template import ChatTemplate, TemplateTooSlow
from app.core.adapters import AdapterSet
from app.core.errors import BadRequest, ContextLengthExceeded, UnsupportedOperation
from app.core.ids import make_id
from app.core.requests import ChatPrompt, Constraint, GenerationRequest, SamplingParams
from app.engine.constraint import Calls, Frame, TokenConstraint
from app.engine.messages import SequenceSpec, ThoughtLimit
from app.pool.loaded import LoadedModel, TextEngine
from app.services.adapters import choose_adapters
from app.services.frames import make_frame
from app.services.threads import run_in_thread
from app.services.tokens import TokenizedPrompt, check_tokens, tokenize_prompt
from app.services.weight import INLINE_WEIGHT, is_heavy

# a template may be slow on little text: what it may take of the event loop, then a thread goes on
_INLINE_SECONDS = 0.02
_TOKEN_CHARACTERS = 32  # more than a text has for each of its tokens
_MakeConstraint = Callable[[Constraint | None, Frame], TokenConstraint | None]
_SEEDS = 0xFFFF_FFFF  # llama.cpp keeps the highest seed for "draw one"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be generated. `specs` has `candidates` sequences for each prompt, in order."""

    request: GenerationRequest
    loaded: LoadedModel
    engine: TextEngine
    template: ChatTemplate | None
    prompts: tuple[TokenizedPrompt, ...]
    specs: tuple[SequenceSpec, ...]
    candidates: int
    adapters: AdapterSet

    def make_parser(self, choice: int) -> StreamParser:
        index = choice // self.candidates
        asked = self.request.prompts[index]
        if self.template is None or not isinstance(asked, ChatPrompt):
            return PlainParser()
        traits = self.template.traits
        return _find_format(self.template, self.loaded).make_parser(
            asked.tools,
            thinks=traits.thinking,
            thought=traits.thought,
            prompt_end=self.prompts[index].suffix,
        )


async def make_plan(
    request: GenerationRequest,
    loaded: LoadedModel,
    template: ChatTemplate | None,
    *,
    queue_timeout: float | None,
) -> Plan:
    """Raises BadRequest and its kin."""
    engine = loaded.engine
    if engine is None:
        raise UnsupportedOperation(
            f"The model '{loaded.info.id}' makes embeddings only.", param="model"
        )
    _check_speculation(request, loaded)
    adapters = choose_adapters(request.lora, loaded.info)
    prompts = await tokenize_prompts(request, loaded, template)
    prediction = await _tokenize_prediction(request.prediction or "", loaded)
    candidates = max(request.n, request.best_of or 1)
    specs = [
        replace(
            _make_spec(request, loaded, prompt, index, candidates),
            prediction=prediction,
            adapters=adapters,
        )
        for prompt in prompts
        for index in range(candidates)
    ]
    if template is not None:
        shown = _find_markers(request, loaded, template)
        specs = [replace(spec, shown_tokens=shown) for spec in specs]
    frames = [
        Frame()
        if template is None or not isinstance(prompt, ChatPrompt)
        else make_frame(prompt, tokenized, template.traits.thought, _find_format(template, loaded))
        for prompt, tokenized in zip(request.prompts, prompts, strict=True)
    ]
    if request.constraint is not None or any(frame.calls for frame in frames):
        specs = await _constrain(specs, request, loaded, frames)
    if request.thought_tokens is not None and template is not None:
        limits = [
            _limit_thought(request.thought_tokens, loaded, tokenized, template, frame.calls)
            for tokenized, frame in zip(prompts, frames, strict=True)
        ]
        specs = [
            replace(spec, thought=limits[index // candidates]) for index, spec in enumerate(specs)
        ]
    if queue_timeout is not None:
        deadline = time.monotonic() + queue_timeout
        # The sequences of one request start in order. Once its first has left the queue, the rest
        # wait for nobody but their own siblings: only the first one has a deadline.
        specs[0] = replace(specs[0], queue_deadline=deadline)
    return Plan(request, loaded, engine, template, prompts, tuple(specs), candidates, adapters)


async def tokenize_prompts(
    request: GenerationRequest, loaded: LoadedModel, template: ChatTemplate | None
) -> tuple[TokenizedPrompt, ...]:
    """What is light is done at once, what is heavy in a thread. Raises BadRequest and its kin."""

    def run(seconds: float | None = None) -> tuple[TokenizedPrompt, ...]:
        _check_token_fields(request, loaded)
        return tuple(
            tokenize_prompt(prompt, loaded, template, has_echo=request.echo, seconds=seconds)
            for prompt in request.prompts
        )

    if not is_heavy(request):
        with suppress(TemplateTooSlow):
            return run(_INLINE_SECONDS)
    return await run_in_thread(run)


async def _tokenize_prediction(text: str, loaded: LoadedModel) -> tuple[int, ...]:
    """What cannot be part of an answer, because it is longer than any, is left out."""
    longest = loaded.info.context_window
    text = text[: longest * _TOKEN_CHARACTERS]

    def run() -> tuple[int, ...]:
        tokens = loaded.tokenizer.tokenize(text, add_special=False, parse_special=False)
        return tuple(tokens[:longest])

    return run() if len(text) <= INLINE_WEIGHT else await run_in_thread(run)


def _check_token_fields(request: GenerationRequest, loaded: LoadedModel) -> None:
    bias = request.sampling.get("logit_bias", ())
    check_tokens([token for token, _ in bias], loaded.tokenizer, param="logit_bias")
    check_tokens(request.stop_token_ids, loaded.tokenizer, param="stop_token_ids")


def _check_speculation(request: GenerationRequest, loaded: LoadedModel) -> None:
    asked = request.speculation
    if asked is not None and asked not in loaded.speculation:
        known = ", ".join(f"'{name}'" for name in sorted(loaded.speculation))
        raise UnsupportedOperation(
            f"The model '{loaded.info.id}' has no speculation '{asked}'. It has {known}.",
            param="speculation",
        )


def _make_spec(
    request: GenerationRequest,
    loaded: LoadedModel,
    prompt: TokenizedPrompt,
    index: int,
    candidates: int,
) -> SequenceSpec:
    wants_ranking = candidates > request.n
    return SequenceSpec(
        id=make_id("seq_", 16),
        prompt=prompt.tokens,
        max_tokens=_limit_tokens(request, loaded, len(prompt.tokens)),
        sampling=_choose_sampling(request, loaded, index, candidates),
        min_tokens=request.min_tokens,
        stop=request.stop or loaded.stop,
        stop_tokens=frozenset(request.stop_token_ids),
        ignore_eos=request.ignore_eos,
        logprobs=0 if request.logprobs is None and wants_ranking else request.logprobs,
        prompt_logprobs=request.logprobs if request.echo else None,
        priority=request.priority,
        owner=request.caller.owner,
        speculation=request.speculation or ("ngram" if request.prediction else None),
    )


def _limit_tokens(request: GenerationRequest, loaded: LoadedModel, n_prompt: int) -> int:
    window = loaded.info.context_window
    if n_prompt + 1 > window:
        param = "messages" if isinstance(request.prompts[0], ChatPrompt) else "prompt"
        raise ContextLengthExceeded(n_prompt_tokens=n_prompt, n_ctx=window, param=param)
    room = min(window - n_prompt, loaded.info.max_output_tokens)
    limit = room if request.max_tokens is None else min(request.max_tokens, room)
    if request.min_tokens > limit:
        raise BadRequest(
            f"'min_tokens' is {request.min_tokens}, but at most {limit} tokens can be generated.",
            param="min_tokens",
        )
    return max(limit, 1)


def _choose_sampling(
    request: GenerationRequest, loaded: LoadedModel, index: int, candidates: int
) -> SamplingParams:
    """The model's defaults under the caller's wishes; answers to one prompt differ by seed."""
    chosen = replace(loaded.sampling, **request.sampling)
    if chosen.seed is None:
        return chosen
    offset = index if candidates > 1 else 0
    return replace(chosen, seed=(chosen.seed + offset) % _SEEDS)


def _find_format(template: ChatTemplate, loaded: LoadedModel) -> ChatFormat:
    return find_format(template.source, loaded.tool_format)


def _find_markers(
    request: GenerationRequest, loaded: LoadedModel, template: ChatTemplate
) -> frozenset[int]:
    """The control tokens that the parsers of the answers must see."""
    has_tools = any(isinstance(prompt, ChatPrompt) and prompt.tools for prompt in request.prompts)
    tokenizer = loaded.tokenizer
    return frozenset(
        token
        for text in _find_format(template, loaded).markers(has_tools=has_tools)
        for token in tokenizer.tokenize(text, add_special=False, parse_special=True)
        if not tokenizer.piece(token)
    )


def _limit_thought(
    tokens: int,
    loaded: LoadedModel,
    tokenized: TokenizedPrompt,
    template: ChatTemplate,
    calls: Calls | None,
) -> ThoughtLimit | None:
    """None where a model does not think."""
    thought = template.traits.thought
    if thought is None:
        return None
    spoken = _find_format(template, loaded)
    lead = spoken.reply.lead if spoken.reply and not calls else ""  # a call begins with another
    closing = f"\n{thought.close}{spoken.turn}{lead}"
    written = loaded.tokenizer.tokenize(closing, add_special=False, parse_special=True)
    return ThoughtLimit(
        tokens, thought.open, thought.close, tuple(written), tokenized.opens_reasoning
    )


async def _constrain(
    specs: list[SequenceSpec],
    request: GenerationRequest,
    loaded: LoadedModel,
    frames: list[Frame],
) -> list[SequenceSpec]:
    """`frames`: one for each prompt, to which the same number of `specs` belongs."""
    compiler, candidates = loaded.constraints, len(specs) // len(frames)
    constraint = request.constraint
    if compiler is None:
        param = "tools" if constraint is None else constraint.source
        raise UnsupportedOperation(
            f"The model '{loaded.info.id}' cannot be held to a format.", param=param
        )

    def run(make: _MakeConstraint) -> list[TokenConstraint | None]:
        return [make(constraint, frames[index // candidates]) for index in range(len(specs))]

    recall = partial(run, compiler.recall)
    made = await run_in_thread(recall) if is_heavy(request) else recall()
    if None in made:  # a grammar that is not known yet must wait for its turn
        async with compiler.turn:
            made = await run_in_thread(partial(run, compiler.compile))
    return [replace(spec, constraint=one) for spec, one in zip(specs, made, strict=True)]
