"""The one task of each peer: start /bin/true and wait for it. Imported by the peers' own workers, in an environment of theirs."""

# mypy: ignore-errors

from __future__ import annotations

import os
import subprocess

URL = os.environ.get("PEER_BROKER", "")
PLAIN = URL.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")  # as everybody but Celery writes it
PEER = os.environ.get("PEER", "")


def run() -> int:
    return subprocess.call(["/bin/true"])


if PEER == "huey":
    from huey import RedisHuey

    huey = RedisHuey("peer", url=PLAIN, results=True)
    task = huey.task()(run)
elif PEER == "celery":
    from celery import Celery

    app = Celery("peer", broker=URL, backend=URL)
    app.conf.update(worker_prefetch_multiplier=4, task_ignore_result=False, broker_connection_retry_on_startup=True)
    task = app.task(name="run")(run)
elif PEER == "dramatiq":
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results import Results
    from dramatiq.results.backends import RedisBackend

    broker = RedisBroker(url=PLAIN)
    broker.add_middleware(Results(backend=RedisBackend(url=PLAIN)))
    dramatiq.set_broker(broker)
    task = dramatiq.actor(store_results=True, queue_name="peer")(run)
