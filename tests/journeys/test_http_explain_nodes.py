"""Why each node cannot take a waiting job: the nearest first, page by page, in the words that explanations use."""

from tests.support.api import Api


def test_each_node_says_what_is_against_it_the_nearest_first(api: Api) -> None:
    api.change(
        """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
           SELECT 'n' || n, 1, 'n' || n, 'b', 'd', n * 1000, 8000000, 8000000 FROM generate_series(1, 3) AS n"""
    )
    job = api.a_job(cpus_required=4, mem_required=100, disk_out_required=1)["id"]
    found = api.get(f"/jobs/{job}/explain/nodes/").json
    assert found["asked"]["cpus"] == 4
    assert [one["node"]["name"] for one in found["results"]] == ["n3", "n2", "n1"]
    assert [one["missing"]["cpus"] for one in found["results"]] == [1, 2, 3]
    assert not any(one["fits"] for one in found["results"])
    assert all("node-too-small" in one["reasons"] for one in found["results"])
    second = api.get(f"/jobs/{job}/explain/nodes/", page_size=2, page=2).json
    assert ([one["node"]["name"] for one in second["results"]], second["count"]) == (["n1"], 3)
    small = api.a_job(cpus_required=1, mem_required=100, disk_out_required=1)["id"]
    assert all(one["fits"] for one in api.get(f"/jobs/{small}/explain/nodes/").json["results"])
    assert api.patch(f"/jobs/{job}/", {"status": "CANCELED"}).status_code == 200
    assert api.get(f"/jobs/{job}/explain/nodes/").json["results"] == []
    assert api.get("/jobs/999999/explain/nodes/").status_code == 404


def test_where_a_wait_went_is_told_by_stretches_and_by_sums(api: Api) -> None:
    job = api.a_job()["id"]
    api.change("UPDATE jobs SET created = now() - interval '100 s', queued = now() - interval '100 s'")
    api.change(
        """INSERT INTO wait_spans (shape_id, number, reason, began, ended)
           SELECT shape_id, 1, 'project-quota', created - interval '1 h', created + interval '30 s' FROM jobs
           UNION ALL SELECT shape_id, 2, 'no-room-now', created + interval '30 s', NULL FROM jobs"""
    )
    found = api.get(f"/jobs/{job}/waits/").json
    assert [one["reason"] for one in found["results"]] == ["project-quota", "no-room-now"]
    assert [round(one["seconds"], -1) for one in found["results"]] == [30, 70]
    assert [one["description"] for one in found["totals"]] == [
        "no node had room for it", "the quota of its project was used up",
    ]  # fmt: skip
    assert (round(found["waited_s"], -1), found["is_cut"], found["results"][1]["ended"]) == (100, False, None)
    api.patch(f"/jobs/{job}/", {"status": "CANCELED"})
    assert api.get(f"/jobs/{job}/waits/").json["results"][1]["ended"] is not None
    assert api.get("/jobs/999999/waits/").status_code == 404
