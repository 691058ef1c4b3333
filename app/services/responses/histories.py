"""What a response is made from: what stands before it, what is new, and the prompt of both."""

from collections.abc import Sequence
from dataclasses import replace

from app.core.errors import BadRequest
from app.core.ids import make_id
from app.core.items import Item
from app.core.requests import ChatPrompt
from app.services.responses.ask import Ask, Reference
from app.services.responses.messages import read_messages
from app.storage.responses import ResponseStore


class Histories:
    """Raises StoreUnavailable. `max_messages`: of one prompt."""

    def __init__(self, store: ResponseStore, max_messages: int) -> None:
        self._store = store
        self._max_messages = max_messages

    async def find(self, owner: str, ask: Ask) -> tuple[str | None, list[Item]]:
        """The item that the new ones come behind, and everything down to it."""
        after = await self._find_place(owner, ask)
        if after is None:
            return None, []
        stored = await self._store.history(owner, after)
        return after, [row.item for row in stored]

    async def _find_place(self, owner: str, ask: Ask) -> str | None:
        if ask.place is not None:
            found = await self._store.place(owner, ask.place.conversation, ask.place.after)
            return None if ask.place.is_first else found
        if ask.previous_id is None:
            return None
        return await self._store.end(owner, ask.previous_id)

    async def resolve(self, owner: str, items: Sequence[Item | Reference]) -> list[Item]:
        """References become copies of what they point to."""
        wanted = [item.id for item in items if isinstance(item, Reference)]
        known = await self._store.find_items(owner, wanted) if wanted else {}
        resolved: list[Item] = []
        for index, item in enumerate(items):
            if not isinstance(item, Reference):
                resolved.append(item)
            elif item.id in known:
                prefix = item.id.partition("_")[0] + "_"
                resolved.append(replace(known[item.id], id=make_id(prefix)))
            else:
                raise BadRequest(f"There is no item '{item.id[:80]}'.", param=f"input[{index}].id")
        return resolved

    def make_prompt(self, ask: Ask, items: Sequence[Item]) -> ChatPrompt:
        messages = read_messages(ask.instructions, items)
        if not messages:
            raise BadRequest("There is nothing to answer: 'input' is empty.", param="input")
        if len(messages) > self._max_messages:
            raise BadRequest(
                f"The conversation has {len(messages)} messages; at most {self._max_messages} are "
                "taken.",
                param="input",
            )
        prompt = ask.request.prompts[0]
        if not isinstance(prompt, ChatPrompt):
            raise TypeError("responses answer chats")
        return replace(prompt, messages=messages)
