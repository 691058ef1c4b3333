"""Bodies against their schemas: what every dialect's share."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from app.core.errors import BadRequest

B = TypeVar("B", bound=BaseModel)


class Part(BaseModel):
    """An object of the wire. Fields that nobody knows are kept, to be named to the caller.

    Every list in it fails at its first wrong element and is bounded: pydantic would describe
    each of a million others.
    """

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Body(Part):
    """A request body."""


def find_unknown(part: Part) -> set[str]:
    """The fields that nobody knows, as `field` or `tools.function.field`."""
    names = {name for name, value in (part.model_extra or {}).items() if value is not None}
    for name, value in part.__dict__.items():
        for inner in _parts_in(value):
            names |= {f"{name}.{unknown}" for unknown in find_unknown(inner)}
    return names


def _parts_in(value: object) -> Iterable[Part]:
    if isinstance(value, Part):
        return (value,)
    if isinstance(value, list):
        return (item for item in cast("list[object]", value) if isinstance(item, Part))
    return ()


def validate(schema: type[B], body: dict[str, Any]) -> B:
    """The body as `schema`, null standing for "not given". Raises BadRequest with the field's
    path."""
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _as_bad_request(error.errors(include_url=False)[0]) from None


def describe(value: Any) -> str:
    """What kind of JSON value this is, in the words of error messages."""
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        (list, "an array"),
        (dict, "an object"),
    )
    return next((word for kind, word in kinds if isinstance(value, kind)), "something else")


def _as_bad_request(details: ErrorDetails) -> BadRequest:
    param = _spell_path(details["loc"])
    if details["type"] == "missing":
        return BadRequest(f"'{param}' is required.", param=param)
    problem = details["msg"].removeprefix("Value error, ")
    if param is None:  # fields that do not go together: the first one named is the one to blame
        return BadRequest(f"{problem}.", param=problem.partition("'")[2].partition("'")[0] or None)
    if details["type"].endswith("_type"):
        problem = f"{problem}, got {describe(details['input'])}"
    return BadRequest(f"'{param}': {problem[:500]}.", param=param)


def _spell_path(parts: Sequence[int | str]) -> str | None:
    """`messages`, 0, `content` as `messages[0].content`."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path[:200] or None
