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
        _, opener, begun = prompt_end.rpartition(OPEN)
        self._begun = opener + begun

    @property
    def open_call(self) -> str:
        is_call = not self._begun.startswith(_USER)
        return self._begun if is_call and self._begun.startswith(self._openers.texts) else ""

    def _take_first(self, scan: Scanner) -> Steps[str]:
        """The first recipient of an answer whose prompt is not known; empty where there is none."""
        for opener in self._openers.texts:
            if (yield from scan.try_take(opener.removeprefix(OPEN))):
                return opener
        return ""

    def read(self, scan: Scanner) -> Steps[None]:
        scan.begin_with(self._begun)
        opener: str | None = "" if self._begun else (yield from self._take_first(scan))
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
