"""Tool calls written as Python: `[weather(city="Paris"), now()]`, with markers or without."""

import json
import re
from dataclasses import dataclass, field

from app.chat.parsers.call_list import read_calls
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.markers import Markers
from app.chat.parsers.python_text import read_value
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.toolbox import Toolbox

_BARE = ("[", "{")
_IN_FUNCTION = re.compile(r"[\w.\-]+")
_IN_PARAMETER = re.compile(r"\w+")
_METHOD = ".call"  # Llama 3.1 writes its own tools so: brave_search.call(query="...")


@dataclass(frozen=True, slots=True)
class PythonCalls:
    """`open` and `close` stand around a list of calls, or around one.

    `is_bare`: calls stand without markers too, wherever a tool that exists is called by its name.
    `objects`: models that write Python for calls write JSON objects as well.
    """

    open: str
    close: str = ""
    is_bare: bool = False
    objects: JsonCalls = field(default=JsonCalls(open="{"))

    @property
    def openers(self) -> Markers:
        return Markers(self.open, *(_BARE if self.is_bare else ()))

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.open, self.close)

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        if opener in _BARE:
            yield from self._read_bare(scan, toolbox)
            return
        yield from self._read_list(scan, None)
        yield from scan.skip_space()
        yield from scan.take_close(self.close)

    def _read_bare(self, scan: Scanner, toolbox: Toolbox) -> Steps[None]:
        """What only looked like a call is text, and nothing malformed."""
        n_calls = scan.n_calls
        scan.restore()
        scan.hold()
        try:
            yield from self._read_list(scan, toolbox)
        except Malformed:
            if scan.n_calls > n_calls:
                raise
        if scan.n_calls == n_calls:
            scan.give_back()

    def _read_list(self, scan: Scanner, known: Toolbox | None) -> Steps[None]:
        yield from read_calls(scan, lambda: self._read_call(scan, known), is_start=self._is_start)

    def _is_start(self, char: str) -> bool:
        """Without a marker at the end, words after a call may be text."""
        return char == "{" or (bool(self.close) and char.isidentifier())

    def _read_call(self, scan: Scanner, known: Toolbox | None) -> Steps[None]:
        if (yield from scan.peek()) == "{":
            yield from self.objects.read_call(scan, known)
            return
        name = yield from scan.read_word(_IN_FUNCTION)
        name = name.removesuffix(_METHOD)
        yield from scan.take("(")
        if not name or (known is not None and name not in known):
            raise Malformed
        scan.start_call(name)
        yield from _read_arguments(scan)


def _read_arguments(scan: Scanner) -> Steps[None]:
    before = "{"
    while True:
        yield from scan.skip_space()
        if (yield from scan.try_take(")")):
            break
        parameter = yield from scan.read_word(_IN_PARAMETER)
        yield from scan.skip_space()
        yield from scan.take("=")
        scan.add_arguments(f"{before}{json.dumps(parameter, ensure_ascii=False)}: ")
        yield from scan.skip_space()
        yield from read_value(scan, scan.add_arguments)
        yield from scan.skip_space()
        if (yield from scan.peek()) != ")":
            yield from scan.take(",")
        before = ", "
    scan.add_arguments("}" if before == ", " else "{}")
