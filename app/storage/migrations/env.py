"""Alembic reads this: the connection comes from `app.storage.migrate`, inside its transaction."""

from alembic import context

from app.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite's driver could commit behind our back; it is told not to
)
with context.begin_transaction():
    context.run_migrations()
