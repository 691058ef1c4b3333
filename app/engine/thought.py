"""Bounding thoughts: after so many tokens the closing text is written, whatever the model says."""

import codecs

from app.engine.messages import ThoughtLimit


class ThoughtWatch:
    """Follows the text of one answer until its thought is over.

    A thought counts only at the start of an answer, as its reader sees it.
    """

    def __init__(self, limit: ThoughtLimit) -> None:
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_inside = limit.is_open
        self._is_over = False
        self._text = ""  # inside: only as much as may be the beginning of the end
        self._n_tokens = 0
        self._due: list[int] = []
        self._close_if_due()

    @property
    def due(self) -> int | None:
        """The token that must come next."""
        return self._due[0] if self._due else None

    def add(self, piece: bytes) -> None:
        """A token was appended."""
        if self._due:
            del self._due[0]
            self._is_over = not self._due
        if self._is_over or self._due:
            return
        self._text += self._decoder.decode(piece)
        if not self._is_inside:
            self._look_for_open()
            return
        self._n_tokens += 1
        self._is_over = self._limit.close in self._text
        self._text = self._text[-len(self._limit.close) :]
        self._close_if_due()

    def _look_for_open(self) -> None:
        begun, opener = self._text.lstrip(), self._limit.open
        if begun.startswith(opener):
            self._is_inside, self._text = True, begun[len(opener) :]
            self._close_if_due()
        elif not opener.startswith(begun):
            self._is_over = True

    def _close_if_due(self) -> None:
        is_cut = self._decoder.getstate()[0]  # a character, which the closing text would spoil
        is_thinking = self._is_inside and not self._is_over
        if is_thinking and not is_cut and self._n_tokens >= self._limit.tokens:
            self._due = list(self._limit.closing)
