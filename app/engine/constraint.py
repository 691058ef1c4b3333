"""Constraints: a JSON schema becomes a mask over the next token, computed by llguidance."""

import json
import math
import threading
from collections import OrderedDict
from decimal import Decimal
from typing import Any, Protocol, cast

import llguidance
import numpy as np

from app.core.errors import InvalidConstraint
from app.core.requests import Constraint, JsonSchema
from app.engine.runtime import Float32Array

_CACHED_GRAMMARS = 128
_MOST_REMAINDERS = 20_000  # some 50 milliseconds
_PARAM = "response_format.json_schema.schema"
# between two JSON tokens: a model that may write any amount of space can do so for ever
_WHITESPACE = r"( |\n[ \t]{0,20})"


class TokenConstraint(Protocol):
    """One sequence's position in a grammar; belongs to the engine thread once submitted."""

    def allows(self, token: int) -> bool: ...

    def mask(self, logits: Float32Array) -> None:
        """Set every forbidden token of a row of shape (vocabulary size,) to minus infinity."""
        ...

    def accept(self, token: int) -> None: ...

    def forced(self) -> list[int]:
        """The tokens that must come next, whatever the model says; not accepted yet. Empty where
        there is a choice."""
        ...

    @property
    def is_complete(self) -> bool:
        """Nothing but the end may follow."""
        ...


class GrammarConstraint:
    """A `TokenConstraint` on an llguidance matcher."""

    def __init__(self, matcher: Any, vocabulary_size: int) -> None:
        self._matcher = matcher
        self._bits = np.zeros((vocabulary_size + 31) // 32, np.int32)

    def allows(self, token: int) -> bool:
        return self._matcher.validate_tokens([token]) == 1

    def mask(self, logits: Float32Array) -> None:
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little")
        np.putmask(logits, allowed[: len(logits)] == 0, -np.inf)

    def accept(self, token: int) -> None:
        self._matcher.consume_token(token)

    def forced(self) -> list[int]:
        return self._matcher.compute_ff_tokens()

    @property
    def is_complete(self) -> bool:
        return self._matcher.is_stopped()


class ConstraintCompiler:
    """Compiles and caches grammars of one vocabulary. Call it off the event loop."""

    def __init__(self, tokenizer: Any, vocabulary_size: int) -> None:
        """`tokenizer` is an llguidance tokenizer, see `llama.grammar`."""
        self._tokenizer = tokenizer
        self._vocabulary_size = vocabulary_size
        self._lock = threading.Lock()
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def compile(self, constraint: Constraint) -> TokenConstraint:
        """A fresh constraint at the start of its grammar.

        Raises InvalidConstraint with llguidance's reason when the schema cannot be compiled.
        """
        schema: Any = {"type": "object"}
        if isinstance(constraint, JsonSchema):
            schema = dict(constraint.schema)
        key = json.dumps(schema, sort_keys=True)
        with self._lock:
            matcher = self._compiled.get(key)
        if matcher is None:
            matcher = self._matcher(schema)  # without the lock: cached ones need not wait for it
        with self._lock:
            self._compiled[key] = matcher
            self._compiled.move_to_end(key)
            while len(self._compiled) > _CACHED_GRAMMARS:
                self._compiled.popitem(last=False)
            return GrammarConstraint(matcher.deep_copy(), self._vocabulary_size)

    def _matcher(self, schema: dict[str, Any]) -> Any:
        _check_multiples(schema)
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(
                schema, defaults={"whitespace_pattern": _WHITESPACE}
            )
        except ValueError as error:
            raise _refused(str(error)) from error
        matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        return matcher


def _check_multiples(schema: dict[str, Any]) -> None:
    """Refuse what llguidance bounds by none of its limits: `multipleOf` becomes an automaton with
    a state for each remainder, and several of them one for each of their common multiple."""
    common = 1
    level: list[tuple[str, Any]] = [("", schema)]
    while level:
        path, value = level.pop()
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value)
            level += [(f"{path}.{name}", child) for name, child in items.items()]
            step = items.get("multipleOf")
            if isinstance(step, int | float) and math.isfinite(step) and step:
                common = math.lcm(common, _digits(step))
                if common > _MOST_REMAINDERS:
                    raise InvalidConstraint(
                        f"The JSON schema cannot be used: 'multipleOf' {step} needs too large an "
                        f"automaton; its digits, and their common multiple with other values of "
                        f"'multipleOf', may be at most {_MOST_REMAINDERS}.",
                        param=f"{_PARAM}{path}.multipleOf",
                    )
        elif isinstance(value, list):
            children = cast("list[Any]", value)
            level += [(f"{path}[{index}]", child) for index, child in enumerate(children)]


def _digits(number: float) -> int:
    """The significant digits as a whole number: 25 of 0.25, of 25 and of 250."""
    digits = Decimal(str(number)).normalize().as_tuple().digits
    return int("".join(map(str, digits)))


def _refused(reason: str) -> InvalidConstraint:
    first_line = reason.strip().splitlines()[0] if reason.strip() else "unknown reason"
    return InvalidConstraint(
        f"The JSON schema cannot be used: {first_line}",
        param=_PARAM,
    )
