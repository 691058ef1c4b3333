"""The Jinja environment in which models' chat templates run: sandboxed and bounded."""

import json
from datetime import datetime
from typing import Any, Never, cast

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment


class TemplateRaised(TemplateError):
    """The template itself refused, with `raise_exception`."""


def _raise_exception(message: object = "") -> Never:
    raise TemplateRaised(str(message))


def _strftime_now(format_: str) -> str:
    return datetime.now().astimezone().strftime(format_)


def _tojson(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models were trained on it: Jinja's own filter escapes HTML and sorts keys."""
    return json.dumps(
        value,
        indent=indent,
        ensure_ascii=ensure_ascii,
        separators=separators,
        sort_keys=sort_keys,
    )


def make_environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = _tojson
    names = cast("dict[str, Any]", made.globals)
    names["raise_exception"] = _raise_exception
    names["strftime_now"] = _strftime_now
    return made
