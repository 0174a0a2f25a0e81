"""What Alembic runs: always online, on the connection that `upgrade` hands over."""

from alembic import context

from scheduler.store.schema import reference_tables, tables  # noqa: F401 - tables adds its own to reference_tables.metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=reference_tables.metadata)
with context.begin_transaction():
    context.run_migrations()
