"""From what a caller asked for to constraints, through a cache."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import llguidance
import numpy as np

from app.chat.lark import JSON_OPTIONS, Unwritable
from app.core.errors import InvalidConstraint, InvalidGrammar
from app.core.messages import Tool
from app.core.requests import Choice, Constraint, Grammar, JsonObject, JsonSchema, Regex
from app.engine.constraint.cache import Compiled, GrammarCache, key_of
from app.engine.constraint.frame import Calls, Frame
from app.engine.constraint.gbnf import GbnfError
from app.engine.constraint.gbnf_lark import gbnf_to_lark
from app.engine.constraint.lark import check_inline_schemas, choice_to_lark
from app.engine.constraint.matcher import GrammarConstraint, TokenConstraint, find_failure
from app.engine.constraint.rehearsal import Rehearsal
from app.engine.constraint.schema import check_multiples, check_strict, find_fault, spell
from app.engine.constraint.tools import OPTIONS, ease_all, prepare
from app.engine.constraint.vocabulary import read_vocabulary

MAX_CHARACTERS = 256 * 1024
MAX_TOOL_CHARACTERS = 1024 * 1024
MAX_PATTERN = 16 * 1024

# llguidance compiles by recursion: the longest chain of rules or references that fits into
# MAX_CHARACTERS needs this stack.
_STACK_BYTES = 256 * 1024 * 1024
_AT_ONCE = 2
_TOO_LONG = "compiling it takes too long, or too much memory"
# With these a step of generation takes 15 ms at most, but for grammars that are made for it.
_LIMITS: dict[str, Any] = {
    "initial_lexer_fuel": 400_000,
    "step_lexer_fuel": 200_000,
    "max_lexer_states": 50_000,
    "verbose_errors": False,
}

_Result = TypeVar("_Result")


class ConstraintCompiler:
    """Compiles and caches grammars of one vocabulary. Call it off the event loop."""

    def __init__(self, tokenizer: Any, vocabulary_size: int) -> None:
        """`tokenizer` is an llguidance tokenizer, see `llama.grammar`."""
        self._tokenizer = tokenizer
        self._vocabulary = read_vocabulary(tokenizer)
        self._bits = np.zeros((vocabulary_size + 31) // 32, np.int32)
        self._cache = GrammarCache()
        self._limits = llguidance.LLParserLimits(**_LIMITS)
        self._rehearsal = Rehearsal(tokenizer, _LIMITS)
        # for callers on the event loop: grammars made to be slow must not take all its threads
        self.turn = asyncio.Semaphore(_AT_ONCE)

    def compile(self, constraint: Constraint | None, frame: Frame | None = None) -> TokenConstraint:
        """A fresh constraint at the start of its grammar: of a format, of the calls in `frame`, or
        of both.

        Raises InvalidConstraint or InvalidGrammar, whose `param` is the path of the fault.
        """
        frame = frame or Frame()
        found = self.recall(constraint, frame)
        if found is not None:
            return found
        compiled = self._prepare_and_compile(constraint, frame)
        self._cache.keep(key_of(constraint, frame), compiled)
        return self._start(compiled, constraint, frame)

    def recall(self, constraint: Constraint | None, frame: Frame) -> TokenConstraint | None:
        """What `compile` makes, where the grammar is in the cache. Takes as long as spelling what
        was asked for."""
        compiled = self._cache.get(key_of(constraint, frame))
        return None if compiled is None else self._start(compiled, constraint, frame)

    def _start(
        self, compiled: Compiled, constraint: Constraint | None, frame: Frame
    ) -> TokenConstraint:
        """Raises InvalidConstraint where calls are demanded, and the prompt has begun one that no
        tool would take. Otherwise that is text."""
        matcher, calls = compiled.matcher.deep_copy(), frame.calls
        if calls is not None and calls.entered and not self._enter(matcher, calls):
            if calls.must:
                raise InvalidConstraint(
                    "The last message begins a call that none of the tools would take.",
                    param="messages",
                )
            matcher = compiled.matcher.deep_copy()
        source = "tools" if constraint is None else constraint.source
        return GrammarConstraint(matcher, self._bits, source, frame.openers(self._vocabulary))

    def _prepare_and_compile(self, constraint: Constraint | None, frame: Frame) -> Compiled:
        if frame.calls is not None:
            tools = tuple(map(prepare, frame.calls.tools))
            frame = replace(frame, calls=replace(frame.calls, tools=tools))
        body = None if constraint is None else self._write_body(constraint) | {"name": "body"}
        return _run_deep(lambda: self._compile(constraint, body, frame))

    def _enter(self, matcher: Any, calls: Calls) -> bool:
        """Go into the call that the prompt has begun; False where no tool would take it."""
        tokenize = self._tokenizer.tokenize_bytes
        for piece in self._vocabulary.spell(calls.entered):
            tokens = [piece] if isinstance(piece, int) else tokenize(piece.encode())
            if isinstance(piece, int) and not matcher.validate_tokens(tokens):
                # such as a marker in a string: what is cut up is no token
                text = self._tokenizer.decode_str(tokens)
                tokens = [token for char in text for token in tokenize(char.encode())]
            if matcher.validate_tokens(tokens) < len(tokens):
                return False
            matcher.consume_tokens(tokens)
        return True

    def close(self) -> None:
        """End what runs beside it."""
        self._rehearsal.close()

    def _write_body(self, constraint: Constraint) -> dict[str, Any]:
        source = constraint.source
        match constraint:
            case JsonObject():
                return {"json_schema": {"type": "object", "x-guidance": JSON_OPTIONS}}
            case JsonSchema(schema):
                _check_length(spell(schema, source), MAX_CHARACTERS, source)
                check_multiples(schema, source)
                if constraint.strict:
                    check_strict(schema, source)
                return {"json_schema": _with_options(dict(schema), source)}
            case Regex(pattern):
                _check_length(pattern, MAX_PATTERN, source)
                return json.loads(llguidance.LLMatcher.grammar_from_regex(pattern))["grammars"][0]
            case Choice(options):
                lark = choice_to_lark(options)
            case Grammar(text, "lark"):
                check_inline_schemas(text, source)
                lark = text
            case Grammar(text):
                _check_length(text, MAX_CHARACTERS, source)
                try:
                    lark = gbnf_to_lark(text, self._vocabulary.find)
                except GbnfError as error:
                    raise InvalidGrammar(
                        f"The grammar cannot be used: {error}.", param=source
                    ) from None
        _check_length(lark, MAX_CHARACTERS, source)
        return {"lark_grammar": lark}

    def _write(self, body: dict[str, Any] | None, frame: Frame) -> str:
        knows_end = body is None or body.get("json_schema") is not None
        try:
            outer = frame.wrap(self._vocabulary, has_body=body is not None, knows_end=knows_end)
        except RecursionError:
            raise Unwritable("it is nested too deeply") from None
        parts = [] if outer is None else [{"lark_grammar": outer}]
        if body is not None and not (frame.calls is not None and frame.calls.must):
            parts.append(body)
        return _spell_grammars(*parts)

    def _compile(
        self, constraint: Constraint | None, body: dict[str, Any] | None, frame: Frame
    ) -> Compiled:
        """The format is tried alone first, then with all that is around it."""
        if constraint is not None and body is not None and not isinstance(constraint, JsonObject):
            reason = self._rehearse(_spell_grammars(body))  # JsonObject: that grammar is our own
            if reason is not None:
                raise self._refusal(constraint, reason)
        grammar, reason = self._try(body, frame)
        if reason is not None and frame.calls is not None:
            calls = frame.calls
            tools = ease_all(calls.tools, partial(self._find_problem, calls))
            grammar, reason = self._try(body, replace(frame, calls=replace(calls, tools=tools)))
        if reason is None:
            started = time.thread_time()
            matcher: Any = llguidance.LLMatcher(
                self._tokenizer, grammar, log_level=0, limits=self._limits
            )
            bits = np.zeros_like(self._bits)
            matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
            reason = find_failure(matcher.get_error(), matcher.stop_reason())
            if reason is None:
                return Compiled(matcher, len(grammar), time.thread_time() - started)
        if constraint is None:
            raise InvalidConstraint(f"The tools cannot be used: {reason}.", param="tools")
        raise self._refusal(constraint, reason)

    def _try(self, body: dict[str, Any] | None, frame: Frame) -> tuple[str, str | None]:
        """A grammar, and what is wrong with it."""
        try:
            grammar = self._write(body, frame)
        except Unwritable as error:
            return "", f"the format of the model has no way to say it: {error}"
        is_long = len(grammar) > MAX_CHARACTERS + MAX_TOOL_CHARACTERS
        return grammar, _TOO_LONG if is_long else self._rehearse(grammar)

    def _find_problem(self, calls: Calls, tool: Tool) -> str | None:
        """Why the schema of a tool cannot be used. Raises InvalidConstraint for strict ones."""
        reason = self._try(None, Frame(calls=replace(calls, tools=(tool,))))[1]
        if reason is not None and tool.strict:
            schema = dict(tool.parameters or {})
            told = self._rehearse(_spell_grammars({"json_schema": schema}))
            if told is not None:
                raise self._refusal(JsonSchema(schema, tool.source), told)
        return reason

    def _refusal(self, constraint: Constraint, reason: str) -> InvalidConstraint | InvalidGrammar:
        source = constraint.source
        if isinstance(constraint, JsonSchema):
            path = source if reason == _TOO_LONG else self._find_fault(constraint)
            return InvalidConstraint(f"The JSON schema cannot be used: {reason}.", param=path[:300])
        what = "regular expression" if isinstance(constraint, Regex) else "grammar"
        return InvalidGrammar(f"The {what} cannot be used: {reason}.", param=source)

    def _rehearse(self, grammar: str) -> str | None:
        """What is wrong with a grammar, if anything."""
        outcome = self._rehearsal.run(grammar)
        return _TOO_LONG if outcome is None else find_failure(*outcome)

    def _find_fault(self, constraint: JsonSchema) -> str:
        def is_fine(schema: dict[str, Any]) -> bool:
            return self._rehearse(_spell_grammars({"json_schema": schema})) is None

        return find_fault(constraint.schema, constraint.source, is_fine)


def _spell_grammars(*grammars: dict[str, Any]) -> str:
    """llguidance's own form: a list of grammars, the first of which is where to start."""
    return json.dumps({"grammars": grammars})


def _with_options(schema: dict[str, Any], source: str) -> dict[str, Any]:
    given: Any = schema.get(OPTIONS, {})
    if not isinstance(given, dict):
        raise InvalidConstraint(f"'{OPTIONS}' must be an object.", param=f"{source}.{OPTIONS}")
    return {**schema, OPTIONS: {**JSON_OPTIONS, **given}}


def _check_length(text: str, most: int, source: str) -> None:
    if len(text) > most:
        raise InvalidGrammar(
            f"'{source}' comes to {len(text)} characters; at most {most} are taken.", param=source
        )


def _run_deep(work: Callable[[], _Result]) -> _Result:
    """The result of `work`, run in a thread of its own with a large stack."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # also a panic of the library
            errors.append(error)

    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=run, name="grammar-compiler")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
