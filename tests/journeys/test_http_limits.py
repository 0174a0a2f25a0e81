"""Too many requests: 429 with Retry-After per token and per address; probes and nodes are never kept waiting."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from api.application import create_app
from api.http.serving.rate_limit import BrokerCounter, LocalCounter, RateLimit
from scheduler.settings import Settings
from tests.support.api import Api


def limited(api: Api, **settings: Any) -> Api:
    """The same API for the same tokens, in an app with limits."""
    made = Settings(state_dir=api.rt.settings.state_dir, limit_requests=True, **settings)
    return replace(api, app=create_app(replace(api.rt, settings=made), background=False))


@pytest.fixture(params=["alone", "on the broker"])
def counter(request: pytest.FixtureRequest, broker_url: str) -> LocalCounter | BrokerCounter:
    return LocalCounter() if request.param == "alone" else BrokerCounter(broker_url)


def test_a_whole_minutes_allowance_may_come_at_once_and_then_one_by_one(counter: LocalCounter | BrokerCounter) -> None:
    once = [RateLimit("token:a", 20)]
    assert [counter.spend(once) for _ in range(20)] == [0.0] * 20
    wait_s = counter.spend(once)
    assert 2 < wait_s <= 3
    assert counter.spend([RateLimit("token:b", 20)]) == 0


def test_who_is_refused_uses_nothing_up(counter: LocalCounter | BrokerCounter) -> None:
    narrow, wide = RateLimit("token:a", 1), RateLimit("address:a", 10)
    assert counter.spend([narrow, wide]) == 0
    assert all(counter.spend([narrow, wide]) > 0 for _ in range(30))
    assert [counter.spend([wide]) for _ in range(9)] == [0.0] * 9
    assert counter.spend([wide]) > 0


def test_allowances_come_back_with_time_and_forgotten_keys_cost_no_memory() -> None:
    now = [0.0]
    counter = LocalCounter(lambda: now[0])
    one = [RateLimit("a", 6)]
    assert [counter.spend(one) for _ in range(7)] == [0.0] * 6 + [10.0]
    now[0] = 10.0
    assert counter.spend(one) == 0
    assert counter.spend(one) == 10.0
    for number in range(11_000):
        counter.spend([RateLimit(str(number), 6)])
    assert len(counter._used) == 10_000


def test_without_its_broker_a_process_counts_by_itself_and_asks_again_later() -> None:
    now = [0.0]
    counter = BrokerCounter("redis://127.0.0.1:1/0", lambda: now[0])
    asked: list[int] = []
    script: Callable[..., object] = counter._script

    def counted(**sent: Any) -> object:
        asked.append(1)
        return script(**sent)

    counter._script = counted
    one = [RateLimit("a", 2)]
    assert [counter.spend(one) > 0 for _ in range(3)] == [False, False, True]
    assert len(asked) == 1
    now[0] = 6.0
    counter.spend(one)
    assert len(asked) == 2


def test_a_token_over_its_limit_waits_and_another_one_does_not(api: Api, broker_url: str) -> None:
    here = limited(api, requests_per_token=5, broker_url=SecretStr(broker_url))
    assert [here.as_("viewer").get("/version/").status_code for _ in range(6)] == [200] * 5 + [429]
    refused = here.as_("viewer").get("/jobs/")
    assert (refused.json["kind"], refused.json["code"]) == ("too-many-requests", 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 12
    assert here.as_("submitter").get("/jobs/").status_code == 200


def test_an_address_is_limited_whatever_tokens_it_tries(api: Api) -> None:
    here = limited(api, requests_per_address=10, proxies=1).with_headers(X_Forwarded_For="192.0.2.1")
    here.secrets |= {f"guess-{number}": f"gu_{number}" for number in range(12)}
    told = [here.as_(f"guess-{number}").get("/jobs/").status_code for number in range(12)]
    assert told == [401] * 10 + [429] * 2


def test_health_and_nodes_are_never_kept_waiting(api: Api) -> None:
    here = limited(api, requests_per_address=1, requests_per_token=1)
    here.get("/version/")
    assert here.get("/version/").status_code == 429
    assert [here.as_(None).get(f"/health/{probe}").status_code for probe in ("live", "ready") * 5] == [200] * 10
    assert [here.as_("node").post("/node/beat/", {}).status_code for _ in range(5)] == [400] * 5


def test_requests_are_limited_unless_the_settings_say_otherwise_and_usual_work_is_not(api: Api) -> None:
    usual = Settings()
    assert (usual.limit_requests, usual.requests_per_token, usual.requests_per_address) == (True, 6_000, 12_000)
    assert {api.get("/version/").status_code for _ in range(200)} == {200}
    unlimited = limited(api, requests_per_token=1).app
    open_ = replace(
        api,
        app=create_app(
            replace(api.rt, settings=Settings(limit_requests=False, requests_per_token=1)), background=False
        ),
    )
    assert [replace(api, app=unlimited).get("/version/").status_code for _ in range(3)] == [200, 429, 429]
    assert {open_.get("/version/").status_code for _ in range(3)} == {200}


def test_an_unnamed_proxy_on_this_machine_is_not_taken_for_one_client(api: Api) -> None:
    narrow = limited(api, requests_per_address=1).as_(None)
    assert {narrow.get("/version/").status_code for _ in range(5)} == {200}
    told = limited(api, requests_per_address=1, proxies=1).as_(None).with_headers(X_Forwarded_For="192.0.2.7")
    assert [told.get("/version/").status_code for _ in range(2)] == [200, 429]
