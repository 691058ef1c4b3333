"""Full-text search: FTS5 in SQLite, tsvector in PostgreSQL. The last word may be unfinished."""

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import ConversationRow, ItemRow

_WORD = re.compile(r"\w+")
_MAX_WORDS = 16
_MAX_WORD = 64
_MAX_HITS = 1000

_MATCH = {
    "sqlite": "items.seq IN (SELECT rowid FROM items_search WHERE items_search MATCH :terms)",
    "postgresql": "items.search @@ to_tsquery('simple', :terms)",
}
_SNIPPETS = {
    "sqlite": (
        "SELECT items.conversation_id, "
        "snippet(items_search, 0, '', '', '…', 24) AS snippet "
        "FROM items_search JOIN items ON items.seq = items_search.rowid "
        "WHERE items_search MATCH :terms AND items.conversation_id IN :ids "
        "ORDER BY items_search.rank LIMIT :most"
    ),
    "postgresql": (
        "SELECT found.conversation_id, ts_headline('simple', left(found.words, 100000), "
        "to_tsquery('simple', :terms), "
        '\'StartSel="", StopSel="", MaxWords=24, MinWords=12\') AS snippet '
        "FROM (SELECT DISTINCT ON (conversation_id) conversation_id, words FROM items "
        "WHERE search @@ to_tsquery('simple', :terms) AND conversation_id IN :ids "
        "ORDER BY conversation_id, seq LIMIT :most) AS found"
    ),
}


def find_conversations(dialect: str, owner: str, query: str) -> ColumnElement[bool]:
    """The condition that a conversation's title or items hold all words of `query`."""
    title = func.lower(ConversationRow.title).contains(query.strip().lower(), autoescape=True)
    terms = _spell(dialect, query)
    if terms is None:
        return title
    holds = select(ItemRow.conversation_id).where(
        ItemRow.owner == owner,
        ItemRow.conversation_id.is_not(None),
        text(_MATCH[dialect]).bindparams(terms=terms),
    )
    return or_(title, ConversationRow.id.in_(holds))


async def find_snippets(
    connection: AsyncConnection, conversations: Sequence[str], query: str
) -> dict[str, str]:
    """For each conversation the words around the first or best hit; none where the title hit."""
    dialect = connection.dialect.name
    terms = _spell(dialect, query)
    if terms is None or not conversations:
        return {}
    statement = text(_SNIPPETS[dialect]).bindparams(bindparam("ids", expanding=True))
    values = {"terms": terms, "ids": list(conversations), "most": _MAX_HITS}
    found: dict[str, str] = {}
    for conversation, snippet in await connection.execute(statement, values):
        found.setdefault(conversation, " ".join(snippet.split()))
    return found


def _spell(dialect: str, query: str) -> str | None:
    """The words of `query` in the search's own language; None where there are none."""
    words = [word[:_MAX_WORD] for word in _WORD.findall(query)[:_MAX_WORDS]]
    if not words:
        return None
    if dialect == "sqlite":
        return " ".join(f'"{word}"' for word in words) + "*"
    return " & ".join([*(f"'{word}'" for word in words[:-1]), f"'{words[-1]}':*"])
