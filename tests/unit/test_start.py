"""How much a node's process brings with it: the less, the sooner a pool has grown."""

from __future__ import annotations

import subprocess
import sys

START = """
import sys
from ganger import cli
from ganger.cli import failures, program
from api.cli import commands, roles
from api import serve
from api.up.embedded import state
from workers.agent import main
from workers.settings import NodeSettings
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"sqlalchemy", "psycopg", "alembic", "kombu", "celery", "flask", "numpy", "prometheus_client"}


def test_a_node_starts_without_what_only_other_roles_need() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
