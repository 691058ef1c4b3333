"""Conversations, items, responses, stored completions, workers, and the search."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# FTS5 keeps no text of its own: it reads the column where it stands.
_SQLITE_SEARCH = (
    """
    CREATE VIRTUAL TABLE items_search USING fts5(
        words, content='items', content_rowid='seq', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER items_search_insert AFTER INSERT ON items BEGIN
        INSERT INTO items_search(rowid, words) VALUES (new.seq, new.words);
    END
    """,
    """
    CREATE TRIGGER items_search_delete AFTER DELETE ON items BEGIN
        INSERT INTO items_search(items_search, rowid, words)
        VALUES ('delete', old.seq, old.words);
    END
    """,
    """
    CREATE TRIGGER items_search_update AFTER UPDATE OF words ON items BEGIN
        INSERT INTO items_search(items_search, rowid, words)
        VALUES ('delete', old.seq, old.words);
        INSERT INTO items_search(rowid, words) VALUES (new.seq, new.words);
    END
    """,
)
# A tsvector has room for a megabyte; what comes after the first 100,000 characters is not found.
_POSTGRESQL_SEARCH = (
    """
    ALTER TABLE items ADD COLUMN search tsvector
    GENERATED ALWAYS AS (to_tsvector('simple', left(words, 100000))) STORED
    """,
    "CREATE INDEX items_by_words ON items USING gin (search)",
)


def upgrade() -> None:
    _make_conversations()
    _make_items()
    _make_responses()
    op.create_table(
        "completions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_index("completions_by_age", "completions", ["owner", "created_at", "id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("seen_at", sa.Float(53), nullable=False),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_SEARCH if is_sqlite else _POSTGRESQL_SEARCH:
        op.execute(statement)


def _make_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("preview", sa.Text()),
        sa.Column("head", sa.Text()),
        sa.Column("model", sa.Text()),
    )
    op.create_index("conversations_by_change", "conversations", ["owner", "updated_at", "id"])


def _make_items() -> None:
    op.create_table(
        "items",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column(
            "conversation_id", sa.Text(), sa.ForeignKey("conversations.id", ondelete="CASCADE")
        ),
        sa.Column("response_id", sa.Text()),
        sa.Column("is_output", sa.Boolean(), nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("items_by_parent", "items", ["parent_id"])
    op.create_index("items_by_conversation", "items", ["conversation_id"])
    op.create_index("items_by_response", "items", ["response_id"])


def _make_responses() -> None:
    op.create_table(
        "responses",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column(
            "conversation_id", sa.Text(), sa.ForeignKey("conversations.id", ondelete="CASCADE")
        ),
        sa.Column("previous_id", sa.Text()),
        sa.Column("tail", sa.Text()),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("completed_at", sa.Float(53)),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("error", sa.JSON()),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("is_background", sa.Boolean(), nullable=False),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.Text()),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("usage", sa.JSON()),
        sa.Column("timings", sa.JSON()),
        sa.Column("echo", sa.JSON(), nullable=False),
    )
    op.create_index("responses_by_conversation", "responses", ["conversation_id"])
    op.create_index("responses_by_status", "responses", ["status"])
    op.create_index("responses_by_age", "responses", ["created_at"])
