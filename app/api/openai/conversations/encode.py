"""Conversations and their items as objects."""

from typing import Any

from app.api.openai.responses.items import encode_item
from app.storage.records import Conversation, StoredItem

OBJECT = "conversation"


def encode_conversation(conversation: Conversation) -> dict[str, Any]:
    found = {} if conversation.snippet is None else {"snippet": conversation.snippet}
    return {
        "id": conversation.id,
        "object": OBJECT,
        "created_at": int(conversation.created_at),
        "updated_at": int(conversation.updated_at),
        "metadata": conversation.metadata,
        "head": conversation.head,
        "model": conversation.model,
        "preview": conversation.preview,
        **found,
    }


def encode_stored(stored: StoredItem) -> dict[str, Any]:
    """An item with its place; the response and the model only of answers."""
    return {
        **encode_item(stored.item),
        "parent_id": stored.parent_id,
        "created_at": int(stored.created_at),
        "response_id": stored.response_id if stored.is_output else None,
        "model": stored.model,
    }
