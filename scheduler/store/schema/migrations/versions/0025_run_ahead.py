"""Placements ahead of room: the node holds them and starts them by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_BEFORE = "status IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELED', 'WITHDRAWN', 'LOST')"
_AFTER = "status IN ('QUEUED', 'AHEAD', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELED', 'WITHDRAWN', 'LOST')"
_LIVE_BEFORE = "status IN ('QUEUED', 'RUNNING') OR released_at IS NOT NULL"
_LIVE_AFTER = "status IN ('QUEUED', 'AHEAD', 'RUNNING') OR released_at IS NOT NULL"
_AHEAD = "status <> 'AHEAD' OR is_ahead AND claim_token IS NOT NULL AND started IS NULL"

# A backstop that no CHECK can express, and that must never fire: the verb looks first, and the node before it.
_GUARD = """
CREATE FUNCTION ganger_guard_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM nodes n
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(x.cpus), 0) AS cpus, COALESCE(sum(x.mem), 0) AS mem, COALESCE(sum(x.disk), 0) AS disk
            FROM executions x
            WHERE x.node_id = n.id AND x.released_at IS NULL AND x.id <> NEW.id
              AND (x.status = 'RUNNING' OR x.status = 'QUEUED' AND NOT x.is_ahead)
        ) AS held
        WHERE n.id = NEW.node_id
          AND (held.cpus + NEW.cpus > n.cpus OR held.mem + NEW.mem > n.mem OR held.disk + NEW.disk > n.disk)
    ) THEN
        RAISE EXCEPTION 'execution %: its node has no room for it', NEW.id;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_start BEFORE UPDATE OF status ON executions
    FOR EACH ROW WHEN (OLD.status = 'AHEAD' AND NEW.status = 'RUNNING') EXECUTE FUNCTION ganger_guard_start();
"""


def _replace(name: str, condition: str) -> None:
    op.drop_constraint(name, "executions")
    op.create_check_constraint(name, "executions", sa.text(condition))


def upgrade() -> None:
    """Nothing is ahead yet, and no node of the release before runs ahead."""
    op.add_column("executions", sa.Column("is_ahead", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("nodes", sa.Column("runs_ahead", sa.Boolean, nullable=False, server_default=sa.text("false")))
    _replace("execution_status", _AFTER)
    _replace("execution_released", _LIVE_AFTER)
    op.create_check_constraint("execution_ahead", "executions", sa.text(_AHEAD))
    op.execute(_GUARD)


def downgrade() -> None:
    """Only while nothing is ahead."""
    op.execute("DROP TRIGGER guard_start ON executions")
    op.execute("DROP FUNCTION ganger_guard_start()")
    op.drop_constraint("execution_ahead", "executions")
    _replace("execution_released", _LIVE_BEFORE)
    _replace("execution_status", _BEFORE)
    op.drop_column("nodes", "runs_ahead")
    op.drop_column("executions", "is_ahead")
