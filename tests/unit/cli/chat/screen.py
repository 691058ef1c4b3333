"""A terminal for tests: it obeys what a live display writes, and remembers what scrolled away."""

import io
import re

_SEQUENCE = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b\][^\x07]*\x07")


class Screen(io.StringIO):
    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.lines = [""]
        self.row = self.column = 0

    def write(self, text: str, /) -> int:
        for match in _SEQUENCE.finditer(text):
            self._obey(match)
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """All that was ever left standing, without white space at the ends."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()

    def _obey(self, match: re.Match[str]) -> None:
        piece, number, command = match[0], match[1], match[2]
        if piece == "\r":
            self.column = 0
        elif piece == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        elif command == "A":
            self.row -= int(number or 1)
            # what has scrolled away cannot be reached any more
            assert self.row >= len(self.lines) - self.height, "above the screen"
        elif command == "K":
            assert number == "2"
            self.lines[self.row] = ""
        elif command is None and not piece.startswith("\x1b"):
            line = self.lines[self.row].ljust(self.column)
            assert self.column + len(piece) <= self.width, "wider than the screen"
            self.lines[self.row] = line[: self.column] + piece + line[self.column + len(piece) :]
            self.column += len(piece)
