"""What one rendering may cost: time, operations, and the size of everything it makes.

Templates come with model files, and a thread that runs one cannot be stopped from outside. So the
templates are made to ask: every turn of a loop, every call, filter, test, operator and output
spends from the budget of the rendering that runs, and raises when there is nothing left.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, cast

from jinja2 import TemplateError

RENDER_SECONDS = 5.0
MAX_SIZE = 16 * 1024 * 1024  # characters of a text, items of a list
MAX_OPERATIONS = 20_000_000
_STRIDE = 1024
_PER_OPERATION = 16  # characters made that cost as much as an operation


class TooMuch(TemplateError):
    """The template wants more than a prompt can need."""


class OutOfTime(TooMuch):
    """The rendering took too long."""


class Budget:
    def __init__(self, seconds: float, given: Any = None) -> None:
        self._deadline = time.monotonic() + seconds
        self._operations = MAX_OPERATIONS
        self._given = given

    @cached_property
    def given(self) -> frozenset[int]:
        """Identities of the lists that the template was given; few templates need them."""
        found: set[int] = set()
        left = [self._given]
        while left:
            one = left.pop()
            if isinstance(one, Mapping):
                left.extend(cast("Mapping[Any, Any]", one).values())
            elif isinstance(one, list):
                items = cast("list[Any]", one)
                found.add(id(items))
                left.extend(items)
        return frozenset(found)

    def spend(self, operations: int = 1) -> None:
        self._operations -= operations
        if self._operations < 0:
            raise TooMuch("it does too much")
        if time.monotonic() > self._deadline:
            raise OutOfTime("it takes too long")


_current: ContextVar[Budget | None] = ContextVar("template_budget", default=None)


@contextmanager
def budget(seconds: float, given: Any = None) -> Generator[None]:
    """What runs inside spends from one budget, and leaves the lists in `given` as they are."""
    token = _current.set(Budget(seconds, given))
    try:
        yield
    finally:
        _current.reset(token)


def is_given(value: list[Any]) -> bool:
    """Whether a list came with the request: such a list is not the template's to change."""
    current = _current.get()
    return current is None or id(value) in current.given


def spend(operations: int = 1) -> None:
    current = _current.get()
    if current is None:  # templates run inside a budget only
        raise TooMuch("it runs outside of a rendering")
    current.spend(operations)


def spend_on(made: Any) -> Any:
    """Pay for a value that an operation made, and return it."""
    cost = 1
    if isinstance(made, str | bytes):
        cost += len(made) // _PER_OPERATION
    elif isinstance(made, list | tuple | dict):
        cost += len(cast("list[Any]", made))
    spend(cost)
    return cast("Any", made)


def check_size(size: int) -> None:
    """Before something of this size is made."""
    if size > MAX_SIZE:
        raise TooMuch("it makes something too large")


def check_value(value: Any) -> None:
    """Before a value becomes text: lists that share their parts can be huge when written out."""
    if isinstance(value, str | int | float | None):
        return
    size, seen, left = 0, 0, [value]
    while left:
        one = left.pop()
        size, seen = size + 1, seen + 1
        if seen % _STRIDE == 0:
            spend(_STRIDE)
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, Mapping):
            whole = cast("Mapping[Any, Any]", one)
            left.extend(whole.values())
            left.extend(whole.keys())
        elif isinstance(one, list | tuple):
            left.extend(cast("list[Any]", one))
        check_size(size + len(left))
