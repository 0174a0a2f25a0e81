"""The environment that Alembic runs: always online, on the connection that `upgrade` hands over."""

from alembic import context

from scheduler.store.schema import project_tables, reference_tables, tables  # noqa: F401 - all add their tables to the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=project_tables.metadata)
with context.begin_transaction():
    context.run_migrations()
