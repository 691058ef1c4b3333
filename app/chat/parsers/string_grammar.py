"""What a JSON schema asks of strings, as a regular expression in the Lark that llguidance reads.

Strings stand there as they are, without quotes and escapes. A terminal is built of regular
expressions with `&`, `|` and `~`, so it is exact, also where schemas are put together.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from app.chat.lark import ANY, Unwritable, quote
from app.chat.parsers.schema import Schema
from app.chat.parsers.schema_nodes import Node, as_node, bounds_of, find_reference, own_kinds

_NEVER = ""
_MAX_DEPTH, _MAX_STEPS = 100, 2000
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_"}  # as JSON Schema means them: of ASCII
_ESCAPED = re.compile(r"\\(?s:.)|/")
_PARTS = re.compile(r"\\(?s:.)|\[\^?\]?(?:\\(?s:.)|[^\]\\])*\]|[()|]|[^\\\[()|]+|(?s:.)")

_DAY_31 = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
_DAY_30 = "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = (
    "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"  # no year 0
)
_DATE = f"({_YEAR}-({_DAY_31}|{_DAY_30}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_MINUTE}:[0-5][0-9](\.[0-9]{{1,9}})?([zZ]|[+-]{_MINUTE})"
_CLOCK = "([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
_DAYS = "([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_HEX = "[0-9a-fA-F]"
_URI_CHAR = f"([A-Za-z0-9._~!$&'()*+,;=:@-]|%{_HEX}{{2}})"
_HOST = rf"({_LABEL}(\.{_LABEL})*|{_BYTE}(\.{_BYTE}){{3}})"


def _ipv6() -> str:
    """Eight groups, of which `::` may stand for one or more."""
    group = f"{_HEX}{{1,4}}"
    cut = (
        f"({group}(:{group}){{0,{left - 1}}})?::({group}(:{group}){{0,{6 - left}}})?"
        for left in range(1, 7)
    )
    tail, head = f"::({group}(:{group}){{0,6}})?", f"{group}(:{group}){{0,6}}::"
    return "|".join([f"{group}(:{group}){{7}}", *cut, tail, head])


FORMATS: Mapping[str, str] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[tT]{_TIME}",
    "duration": f"P({_DAYS}(T{_CLOCK})?|T{_CLOCK}|[0-9]+W)",
    "email": rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*",
    "hostname": rf"{_LABEL}(\.{_LABEL})*",
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "ipv6": _ipv6(),
    "uuid": f"{_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}",
    "uri": rf"[A-Za-z][A-Za-z0-9+.-]*:(//({_URI_CHAR}*@)?{_HOST}(:[0-9]{{1,5}})?(/{_URI_CHAR}*)*"
    rf"|/?{_URI_CHAR}+(/{_URI_CHAR}*)*)(\?({_URI_CHAR}|[/?])*)?(#({_URI_CHAR}|[/?])*)?",
}
"""Others are not enforced: what reads schemas for JSON refuses them, unless it is told not to."""


def write_strings(schema: Schema) -> str:
    """A terminal of all strings that `schema` allows; empty where it allows none. Raises
    Unwritable."""
    return _Writer(schema).write(schema.node, frozenset())


def search(pattern: str) -> str:
    """A terminal of all strings in which a regular expression of JSON Schema finds something."""
    return one_of(*(_search_one(part) for part in _split(pattern)))


def whole(expression: str) -> str:
    """A regular expression of JSON Schema that finds only what `expression` matches from end to
    end, with or without anchors of its own there. Raises ValueError where its brackets are open."""
    depth = 0
    for found in _PARTS.finditer(expression):
        piece = found.group()
        depth += (piece == "(") - (piece == ")")
        if depth < 0 or piece == "[":  # of a class without an end
            raise ValueError("its brackets do not match")
    if depth:
        raise ValueError("its brackets do not match")
    return f"^(?:{'|'.join(map(_without_anchors, _split(expression)))})$"


def all_of(*terminals: str) -> str:
    if _NEVER in terminals:
        return _NEVER
    kept = [one for one in dict.fromkeys(terminals) if one != ANY]
    return f"({' & '.join(kept)})" if len(kept) > 1 else (kept or [ANY])[0]


def one_of(*terminals: str) -> str:
    kept = [one for one in dict.fromkeys(terminals) if one != _NEVER]
    if ANY in kept:
        return ANY
    return f"({' | '.join(kept)})" if len(kept) > 1 else (kept or [_NEVER])[0]


def none_of(*terminals: str) -> str:
    """A terminal of what is none of these."""
    found = one_of(*terminals)
    if found in {ANY, _NEVER}:
        return _NEVER if found == ANY else ANY
    return f"({ANY} & ~{found})" if found.startswith("(") else f"({ANY} & ~({found}))"


class _Writer:
    def __init__(self, schema: Schema) -> None:
        self._root = schema.root
        self._steps = 0
        self._is_lenient = schema.is_lenient  # as it is read for JSON

    def write(self, node: Node, above: frozenset[int]) -> str:
        if id(node) in above:
            return _NEVER
        self._steps += 1
        if self._steps > _MAX_STEPS or len(above) > _MAX_DEPTH:
            raise Unwritable("what it is put together of is too much")
        above |= {id(node)}
        terms = list(_own(node))
        if (reference := node.get("$ref")) is not None:
            found = find_reference(reference, self._root) if isinstance(reference, str) else None
            terms.append(self.write(as_node(found), above))
        terms += self._write_parts(node, "allOf", above)
        if "anyOf" in node:
            terms.append(one_of(*self._write_parts(node, "anyOf", above)))
        if "oneOf" in node:
            parts = list(self._write_parts(node, "oneOf", above))
            terms.append(one_of(*parts) if self._is_lenient else _exactly_one(parts))
        return all_of(*terms)

    def _write_parts(self, node: Node, key: str, above: frozenset[int]) -> Iterator[str]:
        parts: Any = node.get(key)
        for part in cast("list[Any]", parts) if isinstance(parts, list) else ():
            yield self.write(as_node(part), above)


def _own(node: Node) -> Iterable[str]:
    """What the node says itself."""
    if "string" not in own_kinds(node):
        yield _NEVER
    values: Any = [node["const"]] if "const" in node else node.get("enum")
    if isinstance(values, list):
        strings = (value for value in cast("list[Any]", values) if isinstance(value, str))
        yield one_of(*map(quote, strings))
    least, most = bounds_of([node], "minLength", "maxLength")
    if least or most is not None:
        yield f"/(?s:.){{{least},{'' if most is None else most}}}/"
    if isinstance(pattern := node.get("pattern"), str):
        yield search(pattern)
    if (expression := FORMATS.get(str(node.get("format")))) is not None:
        yield _regex(f"({expression})")


def _exactly_one(terms: list[str]) -> str:
    return one_of(
        *(
            all_of(term, none_of(*terms[:at], *terms[at + 1 :]))
            for at, term in enumerate(terms)
            if term != _NEVER
        )
    )


def _search_one(expression: str) -> str:
    """Without choices at its top, so that its anchors are those of the whole."""
    head = "" if expression.startswith("^") else "(?s:.)*"
    tail = "(?s:.)*"
    inner = _without_anchors(expression)
    tail = tail if inner == expression.removeprefix("^") else ""
    if not inner and (head or tail):
        return ANY
    return _regex(f"{head}({inner}){tail}")


def _without_anchors(expression: str) -> str:
    inner = expression.removeprefix("^")
    return inner[:-1] if inner.endswith("$") and not _is_escaped(inner) else inner


def _is_escaped(expression: str) -> bool:
    """Whether its last character is."""
    before = expression[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _split(expression: str) -> list[str]:
    """At the choices that stand in no bracket."""
    parts, depth = [""], 0
    for piece in _PARTS.findall(expression):
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _regex(expression: str) -> str:
    """As a Lark terminal."""
    return f"/{_ESCAPED.sub(_spell, expression)}/".replace("\n", "\\n")


def _spell(found: re.Match[str]) -> str:
    text = found.group()
    if text == "/":
        return r"\/"
    name = text[1]
    if (members := _CLASSES.get(name.lower())) is None:
        return text
    return f"[{'^' if name.isupper() else ''}{members}]"
