"""Addresses as people write them: every spelling that is meant works, and the others are refused without being repeated."""

from __future__ import annotations

import ssl

import kombu
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine

from scheduler.errors import SetupError
from scheduler.servers import addresses, database_address
from scheduler.settings import read_settings
from scheduler.store import address_words

UNREADABLE_DATABASES = [
    "mysql://g:top-secret@db/ganger",
    "sqlite:///ganger.db?top-secret",
    "top-secret",
    "postgresql://g:top-secret@db:none/ganger",
    "postgresql://g:top-secret@db:99999999/ganger",
    "postgresql://g:top-secret@db:0/ganger",
    "postgresql://g:top-secret@[::1/ganger",
    "postgresql://g@db/ganger?top-secret=1",
    "host=db colour=top-secret",
    "  ",
]
UNREADABLE_BROKERS = [
    "amqp://g:top-secret@broker/",
    "top-secret",
    "redis://:top-secret@broker:none/0",
    "redis://:top-secret@broker:0/0",
    "redis://:top-secret@broker:99999/0",
    "redis://:top-secret@[::1/0",
    "redis://:top-secret@broker/ganger",
    "redis:///0?top-secret",
    "unix://run/top-secret.sock",
    "redis+socket:///run/top-secret.sock?virtual_host=ganger",
]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("postgres://ann:p%40ss@db/ganger", {"user": "ann", "password": "p@ss", "host": "db", "dbname": "ganger"}),
        ("postgresql+asyncpg://db:5433/ganger", {"host": "db", "port": 5433, "dbname": "ganger"}),
        ("postgresql:///ganger?host=/run/postgresql", {"host": "/run/postgresql", "dbname": "ganger"}),
        ("postgres://%2Frun%2Fpostgresql/ganger", {"host": "/run/postgresql", "dbname": "ganger"}),
        ("postgresql://one:1,two:2/ganger", {"host": "one,two", "port": "1,2", "dbname": "ganger"}),
        ("postgresql://?service=ganger", {"service": "ganger"}),
        ("host=db user=ann dbname=ganger", {"user": "ann", "host": "db", "dbname": "ganger"}),
        ("postgresql://[::1]/ganger?sslmode=require", {"host": "::1", "dbname": "ganger", "sslmode": "require"}),
    ],
)
def test_the_driver_gets_of_a_database_what_psql_would_get(text: str, arguments: dict[str, object]) -> None:
    url = database_address.read(text)
    _, given = create_engine(url).dialect.create_connect_args(url)
    assert {name: value for name, value in given.items() if name != "context"} == arguments


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:p%40+s%20s@/ganger?host=/srv/my%20work/a+b/run&application_name=it%27s",
        "postgresql://one:1,two:2/ganger",
        "host=db port=5433 dbname=ganger",
    ],
)
def test_an_address_in_words_is_the_same_address(text: str) -> None:
    """As it happened: SQLAlchemy's own form has a plus for a space, and nobody was woken in a folder with one."""
    assert conninfo_to_dict(address_words.words(database_address.read(text))) == conninfo_to_dict(text)
    more = conninfo_to_dict(address_words.words(database_address.read(text), keepalives_idle="5"))
    assert more["keepalives_idle"] == "5"


@pytest.mark.parametrize("text", UNREADABLE_DATABASES)
def test_what_is_no_address_of_a_database_is_refused_and_not_repeated(text: str) -> None:
    for use in (database_address.read, database_address.plain, database_address.shown):
        with pytest.raises(SetupError, match="GANGER_DATABASE_URL") as refused:
            use(text)
        assert "top-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["postgres://ann:top-secret@db/ganger", "host=db password=top-secret", "postgresql://?password=top-secret"]
)
def test_an_address_in_a_message_has_no_password(text: str) -> None:
    assert "top-secret" not in database_address.shown(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("redis://:pw@broker:6379/1", "redis://:pw@broker:6379/1"),
        ("valkey://broker", "redis://broker"),
        ("valkeys://broker/0?ssl_cert_reqs=none", "rediss://broker/0?ssl_cert_reqs=none"),
        ("rediss://broker/0", "rediss://broker/0?ssl_cert_reqs=required"),
        (
            "valkeys://:pw@broker:6380?ssl_ca_certs=/ca.pem",
            "rediss://:pw@broker:6380?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required",
        ),
        ("unix:///run/valkey.sock?db=2", "redis+socket:///run/valkey.sock?virtual_host=2"),
        ("redis+socket://:pw@/run/valkey.sock?virtual_host=0", "redis+socket://:pw@/run/valkey.sock?virtual_host=0"),
    ],
)
def test_a_broker_is_read_as_celery_writes_it(text: str, read: str) -> None:
    assert addresses.broker(text) == read


@pytest.mark.parametrize("text", UNREADABLE_BROKERS)
def test_what_is_no_address_of_a_broker_is_refused_by_the_setting_and_not_repeated(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANGER_BROKER_URL", text)
    with pytest.raises(SetupError, match="GANGER_BROKER_URL: ") as refused:
        read_settings()
    assert "top-secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["db:8470", "ftp://db", "http://", "http://[::1", "http://db:none"])
def test_what_is_no_address_of_an_api_is_refused_by_the_setting(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANGER_API_URL", text)
    with pytest.raises(SetupError, match=r"GANGER_API_URL: .*http://HOST:8470"):
        read_settings()


def test_a_variable_that_is_empty_counts_as_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand on what nobody has set as an empty text."""
    for name in ("GANGER_BROKER_URL", "GANGER_API_URL", "GANGER_PORT"):
        monkeypatch.setenv(name, "")
    settings = read_settings()
    assert (settings.broker_url, settings.api_url, settings.port) == (None, None, 8470)


def test_the_certificate_of_a_broker_is_verified_unless_its_address_says_otherwise() -> None:
    told = [
        kombu.Connection(addresses.broker(text)).ssl
        for text in ("rediss://broker/0", "rediss://broker/0?ssl_cert_reqs=none")
    ]
    assert [one["ssl_cert_reqs"] for one in told] == [ssl.CERT_REQUIRED, ssl.CERT_NONE]
