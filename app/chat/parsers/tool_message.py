"""A message to a tool: its arguments are JSON, or code that stands there as it is."""

import json

from app.chat.parsers.json_text import read_value
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import escape


def read_tool_message(scan: Scanner, name: str, toolbox: Toolbox, ends: Markers) -> Steps[str]:
    """The call of `name` up to one of `ends`, which is taken and returned; empty where another
    text follows, or none. Code becomes the one parameter that takes it. Raises Malformed."""
    scan.start_call(name)
    yield from scan.skip_space()
    marker = yield from scan.take_any(ends.texts)
    first = "" if marker else (yield from scan.peek())
    if first == "{":
        yield from read_value(scan, scan.add_arguments)
        yield from scan.skip_space()
        marker = yield from scan.take_any(ends.texts)
    elif first:
        marker = yield from _read_code(scan, toolbox.code_parameter(name), ends)
    scan.end_call()
    return marker


def _read_code(scan: Scanner, parameter: str | None, ends: Markers) -> Steps[str]:
    if parameter is None:
        raise Malformed
    scan.add_arguments(f'{{{json.dumps(parameter)}: "')
    marker = yield from scan.stream_until(ends, lambda piece: scan.add_arguments(escape(piece)))
    scan.add_arguments('"}')
    return marker or ""
