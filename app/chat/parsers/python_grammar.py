"""The grammar of calls in Python. Values are spelled as in JSON: the reader takes both."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from app.chat.lark import ANY, Lark, Sign, Unwritable, escape, one_of, quote
from app.chat.parsers.schema import Schema
from app.chat.parsers.string_grammar import all_of
from app.chat.parsers.text_grammar import Member, write_forms, write_members, write_narrowed
from app.core.messages import Tool

_WORDS = {frozenset({"boolean"}): ("True", "False"), frozenset({"null"}): ("None",)}
_NOT_IN_NAME = re.compile(r"""[\s*=,()\[\]{}"']|^$""")
_NAME = r"""/[^\s*=,()\[\]{}"']+/"""
# Arguments without names are no call, as soon as they can be told from one. They begin with nothing
# that could open another.
_POSITIONAL = r"""/[ \t\r\n]*([^\s=,()\[\]{}"'<]+([ \t\r\n]+[^\s=\[{<]|[,()\]}"'])|[,(\]}"'])/"""


def write_list(lark: Lark, tools: Sequence[Tool], *, many: bool) -> str:
    """A list of calls after its bracket; empty where no tool's arguments can be written so."""
    made: list[str] = []
    for tool in tools:
        with suppress(Unwritable):
            made.append(f"{quote(f'{tool.name}(')} {_write_arguments(lark, tool)}")
    if not made:
        return ""
    call = lark.rule(one_of(*made))
    more = f"({_comma(lark)} {call})*" if many else ""
    return f"{lark.space} {call} {more} {lark.space} {quote(']')}"


def find_lists(lark: Lark, tools: Sequence[Tool], *, many: bool) -> Iterator[Sign]:
    """What shows the first call of a list: its name and bracket."""
    further = write_list(lark, tools, many=True) if many else ""
    end = f"{lark.space} {quote(']')}"
    end = one_of(end, f"{lark.space} {quote(',')} {further}") if further else end
    for tool in tools:
        with suppress(Unwritable):
            start = rf"/\[[ \t\r\n]*{escape(tool.name)}(\.call)?\(/"
            call = f"{_write_arguments(lark, tool)} {end}"
            yield Sign(f"{ANY} {start}", call, lark.lazy(_POSITIONAL))


def _write_arguments(lark: Lark, tool: Tool) -> str:
    """With the bracket at their end."""
    schema = Schema(tool.parameters or {}, tool.parameters or {})

    def write(member: Member) -> str:
        value = _write_value(lark, member.schema)
        if member.name is None:
            key = lark.terminal("KEY", all_of(member.key, _NAME))
        elif _NOT_IN_NAME.search(member.name):
            key = f"{quote(json.dumps(member.name, ensure_ascii=False))} {lark.space} {quote(':')}"
            return (
                f"{quote('**{')} {lark.space} {key} {lark.space} {value} {lark.space} {quote('}')}"
            )
        else:
            key = member.key
        return f"{key} {quote('=')} {value}"

    members = write_forms(
        schema, lambda form: write_members(lark, schema, form, write, _comma(lark))
    )
    return f"{members} {quote(')')}"


def _write_value(lark: Lark, schema: Schema) -> str:
    is_plain = schema.open_types == schema.types
    words = _WORDS.get(schema.types, ()) if is_plain else ()
    return one_of(*map(quote, words), write_narrowed(lark, schema, schema.types))


def _comma(lark: Lark) -> str:
    return lark.rule(f"{lark.space} {quote(',')} {lark.space}")
