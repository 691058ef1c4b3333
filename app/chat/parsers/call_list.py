"""Calls in a list, or one after the other, whatever one of them looks like."""

from collections.abc import Callable

from app.chat.parsers.scanner import Scanner, Steps


def skip_surplus(scan: Scanner) -> Steps[None]:
    """Some models close a call's object once too often."""
    while (yield from scan.try_take("}")):
        yield from scan.skip_space()


def read_calls(
    scan: Scanner,
    read_call: Callable[[], Steps[None]],
    *,
    is_start: Callable[[str], bool],
    is_open: bool = False,
) -> Steps[None]:
    """Take calls up to and with the end of their list; without brackets as many as follow.

    `read_call` reads one from its first character, `is_start` knows that character, `is_open`: the
    list's bracket was taken. Raises Malformed.
    """
    yield from scan.skip_space()
    is_list = is_open or (yield from scan.try_take("["))
    while True:
        yield from scan.skip_space()
        if is_list and (yield from scan.try_take("]")):
            return
        yield from read_call()
        scan.end_call()
        yield from scan.skip_space()
        yield from skip_surplus(scan)
        scan.hold()  # what follows is text should it be no further call
        yield from scan.take_any((",", ";"))
        yield from scan.skip_space()
        if not is_list and not is_start((yield from scan.peek())):
            return
