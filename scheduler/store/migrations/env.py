"""What Alembic runs: always online, on the connection that `upgrade` hands over."""

from alembic import context

from scheduler.store import estate, tables  # noqa: F401 - tables adds its own to estate.metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=estate.metadata)
with context.begin_transaction():
    context.run_migrations()
