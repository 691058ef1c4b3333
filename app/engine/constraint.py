"""Constraints: a JSON schema becomes a mask over the next token."""

from typing import Protocol

from app.core.requests import Constraint
from app.engine.runtime import Float32Array


class TokenConstraint(Protocol):
    """One sequence's position in a grammar; belongs to the engine thread once submitted."""

    def allows(self, token: int) -> bool: ...

    def mask(self, logits: Float32Array) -> None:
        """Set every forbidden token of a row of shape (vocabulary size,) to minus infinity."""
        ...

    def accept(self, token: int) -> None: ...

    @property
    def is_complete(self) -> bool:
        """Nothing but the end may follow."""
        ...


class ConstraintCompiler:
    """Compiles and caches grammars of one vocabulary. Call it off the event loop."""

    def compile(self, constraint: Constraint) -> TokenConstraint:
        """Raises InvalidConstraint, naming what is wrong."""
        raise NotImplementedError
