"""Functionary v3.2: `>>>RECIPIENT\\n...`, where `all` is the user, and the others are tools."""

from typing import ClassVar

from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.tool_message import read_tool_message
from app.chat.parsers.toolbox import Toolbox

OPEN = ">>>"
_USER = f"{OPEN}all\n"


class Recipients:
    """Reads one answer. Only tools that were offered, and `python`, are recipients: Python's own
    prompt is `>>>` too. The prompt may have written the first of them."""

    markers: ClassVar[tuple[str, ...]] = (OPEN,)

    def __init__(self, toolbox: Toolbox, prompt_end: str) -> None:
        self._toolbox = toolbox
        tools = (*toolbox.names, "python") if toolbox else ()
        self._openers = Markers(_USER, *(f"{OPEN}{name}\n" for name in tools))
        self._is_begun = prompt_end.endswith(OPEN)

    def read(self, scan: Scanner) -> Steps[None]:
        opener = (yield from self._read_first(scan)) if self._is_begun else ""
        while opener is not None:
            if opener in {"", _USER}:
                opener = yield from scan.tell_until(self._openers)
                scan.drop()
                continue
            name = opener.removeprefix(OPEN).strip()
            try:
                opener = yield from read_tool_message(scan, name, self._toolbox, self._openers)
            except Malformed:
                scan.refuse()
                opener = ""

    def _read_first(self, scan: Scanner) -> Steps[str]:
        rests = {opener.removeprefix(OPEN): opener for opener in self._openers.texts}
        yield from scan.try_take(OPEN)  # again, as an answer that is held to calls has it
        scan.hold()
        rest = yield from scan.take_any(tuple(rests))
        if rest:
            scan.drop()
        scan.restore()
        return rests.get(rest, "")
