"""Constraints: schemas and grammars become masks over the next token, computed by llguidance.

`compiler` is what the rest of the service calls; `schema`, `lark` and `gbnf` check and translate
what callers send; `tools` makes the schemas of tools ready, `frame` writes what stands around a
format; `cache` keeps what was compiled; `matcher` follows one sequence.
"""

from app.engine.constraint.compiler import ConstraintCompiler
from app.engine.constraint.frame import Calls, Frame
from app.engine.constraint.matcher import GrammarConstraint, TokenConstraint

__all__ = ["Calls", "ConstraintCompiler", "Frame", "GrammarConstraint", "TokenConstraint"]
