"""The environment that Alembic runs: always online, on the connection that `upgrade` hands over."""

from alembic import context

from scheduler.store.schema import (  # noqa: F401 - all add their tables to the metadata
    data_set_tables,
    needs_tables,
    project_tables,
    reference_tables,
    schedule_tables,
    tables,
    upload_tables,
    workflow_tables,
)

context.configure(connection=context.config.attributes["connection"], target_metadata=project_tables.metadata)
with context.begin_transaction():
    context.run_migrations()
