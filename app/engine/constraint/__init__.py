"""Constraints: schemas and grammars become masks over the next token, computed by llguidance.

`compiler` is what the rest of the service calls; `schema`, `lark` and `gbnf` check and translate
what callers send; `matcher` follows one sequence.
"""

from app.engine.constraint.compiler import ConstraintCompiler
from app.engine.constraint.frame import Frame
from app.engine.constraint.matcher import GrammarConstraint, TokenConstraint

__all__ = ["ConstraintCompiler", "Frame", "GrammarConstraint", "TokenConstraint"]
