"""The schema, version by version: Alembic runs what a database lacks when it is opened."""
