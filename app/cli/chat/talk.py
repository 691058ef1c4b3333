"""A conversation that goes on: asks, collects, keeps."""

import asyncio
from contextlib import aclosing, suppress
from typing import Any

from app.cli.chat.client import ChatClient
from app.cli.chat.conversation import Conversation
from app.cli.chat.display import Display
from app.cli.chat.interrupt import Interrupted, Interrupts
from app.cli.chat.turn import Turn
from app.cli.remote import Remote

Json = dict[str, Any]

INTERRUPTED = "interrupted"
_TICK_SECONDS = 1 / 15


class Talk:
    """`conversation` may be exchanged; `turns` are the answers of this session."""

    def __init__(self, remote: Remote, conversation: Conversation, interrupts: Interrupts) -> None:
        self.remote = remote
        self.conversation = conversation
        self.turns: list[Turn] = []
        self._interrupts = interrupts
        self._client = ChatClient(remote.address)
        self._row: Json | None = None

    async def aclose(self) -> None:
        await self._client.aclose()

    @property
    def window(self) -> int | None:
        """Tokens of the model's context, as far as that is known by now."""
        return self._row["context_window"] if self._row is not None else None

    def switch(self, row: Json) -> None:
        """Go on with another model, as `/v1/models` has it."""
        self.conversation.model, self._row = row["id"], row

    async def ask(self, question: str, display: Display) -> Turn:
        """One more question and its answer, which are kept; of an answer that Ctrl-C ended, what
        came of it. Raises Refusal; then nothing is kept."""
        turn = Turn()
        ticking = asyncio.create_task(_tick(display))
        try:
            await self._interrupts.run(self._follow(question, turn, display))
        except Interrupted:
            turn.end(INTERRUPTED)
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            display.end()
        if turn.text or turn.reason != INTERRUPTED:
            self.conversation.keep(question, turn.text)
            self.turns.append(turn)
        return turn

    async def _follow(self, question: str, turn: Turn, display: Display) -> None:
        display.begin(await self._look())
        body = self.conversation.body(question)
        async with aclosing(self._client.ask(body, turn)) as pieces:
            async for piece in pieces:
                display.show(piece)

    async def _look(self) -> str:
        """What happens until an answer comes."""
        model = self.conversation.model
        if self._row is None or self._row["id"] != model:
            self._row = await asyncio.to_thread(self.remote.row, model)
        elif self._row["state"] == "hot":
            return "waiting"
        is_hot = self._row["state"] == "hot"
        self._row["state"] = "hot"  # from now on
        return "waiting" if is_hot else f"loading {model}"


async def _tick(display: Display) -> None:
    while True:
        display.tick()
        await asyncio.sleep(_TICK_SECONDS)
