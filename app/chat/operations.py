"""Operators, methods and filters that could make huge things out of small ones, with bounds."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from string import Formatter
from typing import Any, cast

from jinja2 import Environment, pass_environment
from jinja2.filters import make_attrgetter

from app.chat.budget import TooMuch, check_size, check_value, spend, spend_on

OPERATORS = frozenset({"+", "*", "**", "%"})
# methods with no use in a prompt, whose results have no bound
FORBIDDEN_METHODS = frozenset({"to_bytes", "translate"})
# filters made for web pages; what they may produce has no bound
FORBIDDEN_FILTERS = frozenset(
    {"batch", "center", "pprint", "slice", "urlize", "wordwrap", "xmlattr"}
)
# filters and tests that compare values with each other
COMPARING = frozenset(
    {"sort", "min", "max", "unique", "groupby", "dictsort", "in", "eq", "equalto", "==", "ne", "!="}
    | {"lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">="}
)
# methods that change a list; a template may use them on its own lists
LIST_METHODS = frozenset({"append", "extend", "insert", "pop"})
_MAX_BITS = 4096
_MAX_INDENT = 16
_LONG_NUMBER = re.compile(r"\d{5}")
_CONVERSION = re.compile(r"%[^a-zA-Z%]*")
_PADDING = frozenset({"center", "ljust", "rjust", "zfill"})


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Before `left operator right` is computed."""
    if operator == "+":
        if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            check_size(len(cast("str", left)) + len(cast("str", right)))
    elif operator == "*":
        _check_product(left, right)
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() * abs(right))
    elif isinstance(left, str):
        check_percent(left, right)


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
        return
    for many, times in ((left, right), (right, left)):
        if isinstance(many, str | bytes | list | tuple) and isinstance(times, int):
            check_size(len(cast("str", many)) * times)


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise TooMuch("it computes with too large numbers")


def write(value: Any) -> str:
    """A value as text."""
    check_value(value)
    return str(value)


def check_percent(text: str, values: Any) -> None:
    """Before `text % values`: no wide columns."""
    check_value(values)
    for conversion in _CONVERSION.findall(text):
        if "*" in conversion or _LONG_NUMBER.search(conversion):
            raise TooMuch("it formats too wide a column")


def _check_format(text: str, values: Any) -> None:
    """Before `text.format(...)`."""
    check_value(values)
    for _, _, spec, _ in Formatter().parse(text):
        if spec and ("{" in spec or _LONG_NUMBER.search(spec)):
            raise TooMuch("it formats too wide a column")


def check_method(called: Any, args: tuple[Any, ...], more: dict[str, Any]) -> tuple[Any, ...]:
    """Before a method of a text is called; returns the arguments to call it with."""
    name = getattr(called, "__name__", "")
    if name in {"format", "format_map"}:  # the sandbox wraps these two
        _check_format(str(getattr(getattr(called, "__wrapped__", None), "__self__", "")), args)
        check_value(more)
        return args
    owner = getattr(called, "__self__", None)
    if isinstance(owner, list) and name in LIST_METHODS:
        return _check_list(name, cast("list[Any]", owner), args)
    if name == "expandtabs" and isinstance(owner, str | bytes):
        check_size(len(owner) * max((8, *args, *more.values())))
    if not isinstance(owner, str | bytes) or not args:
        return args
    if name in _PADDING and isinstance(args[0], int):
        check_size(args[0])
    elif name == "join":
        return (_joinable(owner, args[0]), *args[1:])
    elif name == "replace" and len(args) > 1:
        _check_replace(owner, args[0], args[1])
    return args


def _check_list(name: str, owner: list[Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    if name == "extend" and args:
        args = (_listed(args[0]), *args[1:])
        spend(len(args[0]))
        check_size(len(owner) + len(args[0]))
    check_size(len(owner) + 1)
    return args


def _listed(items: Iterable[Any]) -> list[Any]:
    listed: list[Any] = []
    for item in items:
        spend()
        check_size(len(listed))
        listed.append(item)
    return listed


def _joinable(separator: str | bytes, items: Iterable[Any]) -> list[Any]:
    listed: list[Any] = []
    size = 0
    for item in items:
        spend()
        size += len(separator) + (len(item) if isinstance(item, str | bytes) else 1)
        check_size(size)
        listed.append(item)
    return listed


def _check_replace(text: Any, old: Any, new: Any) -> None:
    """Of what is no text, the replacement itself complains."""
    if isinstance(old, type(text)) and isinstance(new, type(text)) and len(new) > len(old):
        check_size(len(text) + text.count(old) * len(new))


# ---- filters


def metered(function: Callable[..., Any], *, compares: bool = False) -> Callable[..., Any]:
    """The same filter or test, paying for its turn and its result.

    `compares`: it compares what it is given, which takes as long as writing it out.
    """

    @wraps(function)  # keeps the marks that tell Jinja what to pass
    def run(*args: Any, **kwargs: Any) -> Any:
        spend()
        if compares:
            check_value(args)
        return spend_on(function(*args, **kwargs))

    return run


def to_json(
    value: Any,
    indent: int | str | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models were trained on it: Jinja's own filter escapes HTML and sorts keys."""
    check_value(value)
    if separators and max(map(len, separators)) > _MAX_INDENT:
        raise TooMuch("it separates too widely")
    if indent is not None and (len(indent) if isinstance(indent, str) else indent) > _MAX_INDENT:
        raise TooMuch("it indents too far")
    encoder = json.JSONEncoder(
        indent=indent,
        ensure_ascii=ensure_ascii,
        separators=separators,
        sort_keys=sort_keys,
        default=_encode_other,
    )
    if indent is None:
        return encoder.encode(value)
    return "".join(_joinable("", encoder.iterencode(value)))


def _encode_other(value: Any) -> Any:
    """What filters such as `map` give is a list to whoever wrote the template."""
    if isinstance(value, Iterator):
        return _listed(cast("Iterator[Any]", value))
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def from_json(text: str) -> Any:
    return json.loads(text)


def bounded_filters(original: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Jinja's filters, without those that no prompt needs and with bounds on the rest."""

    @pass_environment
    def join(
        environment: Environment, value: Iterable[Any], d: str = "", attribute: Any = None
    ) -> str:
        read = make_attrgetter(environment, attribute) if attribute is not None else None
        texts = (write(item if read is None else read(item)) for item in value)
        return str(d).join(_joinable(str(d), texts))

    def replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
        _check_replace(str(text), str(old), str(new))
        return str(text).replace(str(old), str(new), -1 if count is None else count)

    def format_(text: Any, *args: Any, **kwargs: Any) -> Any:
        check_percent(str(text), (args, kwargs))
        return original["format"](text, *args, **kwargs)

    def indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> Any:
        wide = width if isinstance(width, int) else len(width)
        check_size(len(text) + (text.count("\n") + 1) * wide)
        return original["indent"](text, width, first, blank)

    @pass_environment
    def sum_(
        environment: Environment, values: Iterable[Any], attribute: Any = None, start: Any = 0
    ) -> Any:
        if not isinstance(start, int | float):
            raise TooMuch("it sums what are not numbers")
        return original["sum"](environment, values, attribute, start)

    def round_(value: float, precision: int = 0, method: Any = "common") -> float:
        _check_bits(abs(precision))
        return original["round"](value, precision, method)

    kept = {name: value for name, value in original.items() if name not in FORBIDDEN_FILTERS}
    kept |= {"replace": replace, "format": format_, "indent": indent, "join": join, "sum": sum_}
    kept |= {"string": write, "round": round_, "tojson": to_json, "from_json": from_json}
    return {name: metered(value, compares=name in COMPARING) for name, value in kept.items()}
