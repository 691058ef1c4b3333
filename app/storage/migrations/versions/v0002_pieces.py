"""How the streams of responses in the background were numbered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("responses", sa.Column("pieces", sa.JSON(), nullable=True))
