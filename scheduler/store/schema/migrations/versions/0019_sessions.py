"""Sessions of browsers, and the one-time codes that begin them."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add both tables, empty."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("token_id", sa.BigInteger, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary, nullable=False),
        sa.Column("browser", sa.Text, nullable=False, server_default=""),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("sessions_of_token", "sessions", ["token_id"])
    op.create_table(
        "login_codes",
        sa.Column("sha256", sa.LargeBinary, primary_key=True),
        sa.Column("token_id", sa.BigInteger, sa.ForeignKey("tokens.id"), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary, nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Sign everybody out."""
    op.drop_table("login_codes")
    op.drop_table("sessions")
