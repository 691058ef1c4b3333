"""Parts of lists: `limit`, `after` and `order` in the query, and the object that holds one."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from app.core.errors import BadRequest
from app.storage.records import Page

MAX_LIMIT = 100
DEFAULT_LIMIT = 20


def read_page(request: Request, order: str = "desc") -> Page:
    """Raises BadRequest. `order`: the one of who asks for none."""
    query = request.query_params
    given = query.get("limit", str(DEFAULT_LIMIT))
    limit = int(given) if given.isascii() and given.isdecimal() and len(given) < 6 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"'limit' must be a number from 1 to {MAX_LIMIT}.", param="limit")
    order = query.get("order", order)
    if order not in {"asc", "desc"}:
        raise BadRequest("'order' must be 'asc' or 'desc'.", param="order")
    return Page(limit, query.get("after") or None, order == "desc")


def encode_list(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
