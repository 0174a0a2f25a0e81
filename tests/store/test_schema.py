"""The schema: what the migrations make is what the tables say, and any number of roles may start at once."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from scheduler.servers import database_address
from scheduler.store.schema import migrations, project_tables, tables


def test_the_migrations_make_exactly_the_tables_of_the_code(bare_database_url: str) -> None:
    migrations.upgrade(bare_database_url)
    engine = create_engine(database_address.read(bare_database_url))
    with engine.connect() as tx:
        assert tables.jobs.name in project_tables.metadata.tables
        assert compare_metadata(MigrationContext.configure(tx), project_tables.metadata) == []
        assert migrations.current(tx) == migrations.head()
    engine.dispose()


def test_roles_that_start_together_migrate_once(bare_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrations.upgrade, [bare_database_url] * 4)) == [None] * 4
