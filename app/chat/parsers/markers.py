"""Finding one of several fixed texts in text that goes on."""

import re


class Markers:
    """A set of texts that mean something, such as tags."""

    def __init__(self, *texts: str) -> None:
        """An empty set is never found."""
        self.texts = tuple(text for text in texts if text)
        # the longest first: where two begin at one place, the longer one is meant
        longest_first = sorted(self.texts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._first = frozenset(text[0] for text in self.texts)
        self._longest = max(map(len, self.texts), default=0)

    def find(self, text: str, start: int, *, is_over: bool) -> tuple[int, int] | None:
        """Start and end of the earliest one in `text` from `start` on.

        None too where what comes next could make it an earlier or a longer one; with `is_over`
        nothing comes.
        """
        found = self._pattern.search(text, start)
        if found is None or (not is_over and self.safe_end(text, start) <= found.start()):
            return None
        return found.span()

    def safe_end(self, text: str, start: int) -> int:
        """Where the part of `text` ends in which no unfinished marker begins."""
        for at in range(max(start, len(text) - self._longest + 1), len(text)):
            if text[at] in self._first:
                tail = text[at:]
                if any(len(m) > len(tail) and m.startswith(tail) for m in self.texts):
                    return at
        return len(text)
