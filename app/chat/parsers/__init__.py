"""Parsers of model output, chosen by the model's chat template.

A format is a module beside this one and a line in `_FORMATS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.chat.parsers.base import PlainParser, StreamParser
from app.chat.parsers.hermes import CALL_OPEN, HermesParser
from app.chat.template import TemplateTraits

__all__ = ["choose_parser", "find_call_marker"]


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    is_match: Callable[[str], bool]
    make: Callable[[bool, bool, bool], StreamParser]
    call_open: str


def _make_hermes(thinking: bool, tools: bool, starts_in_reasoning: bool) -> StreamParser:
    return HermesParser(thinking=thinking, tools=tools, starts_in_reasoning=starts_in_reasoning)


_FORMATS = (_Format("hermes", lambda _source: True, _make_hermes, CALL_OPEN),)


def choose_parser(
    source: str, traits: TemplateTraits, *, tools: bool, starts_in_reasoning: bool
) -> StreamParser:
    """The parser of one answer. `tools`: the request offers tools."""
    thinking = traits.thinking or starts_in_reasoning
    if not (tools or thinking):
        return PlainParser()
    return _find_format(source).make(thinking, tools, starts_in_reasoning)


def find_call_marker(source: str) -> str:
    """What a tool call begins with, in the answers of a model with this template."""
    return _find_format(source).call_open


def _find_format(source: str) -> _Format:
    return next(format_ for format_ in _FORMATS if format_.is_match(source))
