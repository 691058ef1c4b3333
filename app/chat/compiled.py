"""A template's source, compiled; running it is bounded in time and size."""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Template, meta

from app.chat.budget import OutOfTime, budget
from app.chat.environment import TemplateRaised, make_environment
from app.core.errors import TemplateRefused

MAX_PROMPT_CHARACTERS = 16 * 1024 * 1024
MAX_TEMPLATE_CHARACTERS = 1024 * 1024


class TemplateTooSlow(TemplateRefused):
    """The template took longer than it was given."""


class CompiledTemplate:
    """`reads` are the variables that it takes from outside. Safe from any thread."""

    def __init__(self, source: str) -> None:
        """Raises TemplateRefused."""
        if len(source) > MAX_TEMPLATE_CHARACTERS:
            raise TemplateRefused("The chat template is broken: it is too large.")
        environment = make_environment()
        try:
            tree = environment.parse(source)
            self.reads = frozenset(meta.find_undeclared_variables(tree))
            self._template: Template = environment.from_string(tree)
        except Exception as error:  # Python's compiler has limits of its own
            raise TemplateRefused(f"The chat template is broken: {_tell(error)}") from error

    def run(self, values: Mapping[str, Any], seconds: float) -> str:
        """Raises TemplateRefused, with the template's own message where it has one, and
        TemplateTooSlow."""
        try:
            with budget(seconds, values):
                return _join_bounded(self._template.generate(values))
        except TemplateRefused:
            raise
        except OutOfTime as error:
            raise TemplateTooSlow(
                f"The chat template cannot render these messages: {error}.", param="messages"
            ) from error
        except TemplateRaised as error:
            raise TemplateRefused(str(error), param="messages") from error
        except Exception as error:  # whatever a foreign template does, the caller gets a 400
            raise TemplateRefused(
                f"The chat template cannot render these messages: {error}", param="messages"
            ) from error


def _tell(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    return f"line {line}: {error}" if line else str(error)


def _join_bounded(pieces: Iterator[str]) -> str:
    parts: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_PROMPT_CHARACTERS:
            raise TemplateRefused("The rendered prompt is too large.", param="messages")
        parts.append(piece)
    return "".join(parts)
