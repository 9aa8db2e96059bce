"""Finding objects by query: every page together is the whole, and every filter means what Argo means by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import Invalid
from syncd.cluster.memory import MemoryStore
from syncd.server import listing
from tests.server.house import House, patch, put, template, workflow
from tests.support.clocks import CountingRandom, ManualClock


def names(body: Any) -> list[str]:
    return [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in body["items"]]


@pytest.fixture
async def filled(house: House) -> House:
    for namespace, name, phase in [
        ("ci", "build-1", "Succeeded"),
        ("ci", "build-2", "Failed"),
        ("ci", "test-1", "Running"),
        ("prod", "build-1", "Running"),
        ("prod", "nightly", "Succeeded"),
    ]:
        made = await put(house.store, workflow(name, namespace, labels={labels.PHASE: phase}))
        status: dict[str, Any] = {"phase": phase, "nodes": {name: {"id": name}}}
        if phase != "Running":
            status["finishedAt"] = made["metadata"]["creationTimestamp"]
        await patch(house.store, made, {"status": status})
        house.clock.advance(60)
    return house


ALL = ["ci/build-1", "ci/build-2", "ci/test-1", "prod/build-1", "prod/nightly"]
CASES = [
    ("/api/v1/workflows/", ALL),
    ("/api/v1/workflows/ci", ALL[:3]),
    ("/api/v1/workflows/nowhere", []),
    (f"/api/v1/workflows/?listOptions.labelSelector={labels.PHASE}=Running", ["ci/test-1", "prod/build-1"]),
    (f"/api/v1/workflows/ci?listOptions.labelSelector={labels.PHASE} in (Failed,Error)", ["ci/build-2"]),
    ("/api/v1/workflows/?listOptions.fieldSelector=metadata.name=build-1", ["ci/build-1", "prod/build-1"]),
    ("/api/v1/workflows/ci?listOptions.fieldSelector=metadata.name=build-1", ["ci/build-1"]),
    ("/api/v1/workflows/ci?listOptions.fieldSelector=metadata.name==build-1", ["ci/build-1"]),
    ("/api/v1/workflows/ci?listOptions.fieldSelector=metadata.name!=build-1", ["ci/build-2", "ci/test-1"]),
    ("/api/v1/workflows/?listOptions.fieldSelector=metadata.namespace=prod,metadata.name=nightly", ["prod/nightly"]),
    ("/api/v1/workflows/ci?listOptions.fieldSelector=metadata.name=gone", []),
    (
        "/api/v1/workflows/?nameFilter=Prefix&listOptions.fieldSelector=metadata.name=build",
        ["ci/build-1", "ci/build-2", "prod/build-1"],
    ),
    ("/api/v1/workflows/?nameFilter=Contains&listOptions.fieldSelector=metadata.name=ight", ["prod/nightly"]),
    ("/api/v1/workflows/?nameFilter=Exact&listOptions.fieldSelector=metadata.name=build", []),
    ("/api/v1/workflows/?createdAfter=2026-01-01T00:02:00Z", ["prod/build-1", "prod/nightly"]),
    ("/api/v1/workflows/?finishedBefore=2026-01-01T00:01:00Z", ["ci/build-1"]),
    ("/api/v1/workflows/?finishedBefore=2026-01-01T01:01:00%2B01:00", ["ci/build-1"]),
    ("/api/v1/workflows/?listOptions.limit=0", ALL),
]


@pytest.mark.parametrize(
    ("path", "found"), CASES, ids=[c[0].removeprefix("/api/v1/workflows/") or "all" for c in CASES]
)
async def test_filters(filled: House, path: str, found: list[str]) -> None:
    status, body = await filled.call("GET", path)
    assert (status, names(body)) == (200, found)
    assert body["kind"] == "WorkflowList" and body["metadata"]["resourceVersion"] and "continue" not in body["metadata"]
    assert all("nodes" not in item["status"] for item in body["items"])


@pytest.mark.parametrize(
    "query",
    [
        "listOptions.limit=x",
        "listOptions.limit=-1",
        "listOptions.fieldSelector=status.phase=Running",
        "nameFilter=Regex",
        "createdAfter=yesterday",
        "createdAfter=2026-01-01T00:00:00",
        "listOptions.continue=!!",
        "listOptions.continue=W10=",
        "listOptions.continue=WzEsMiwzXQ==",
        "listOptions.labelSelector=a%20b",
        "listOptions.fieldSelector=metadata.name",
        f"listOptions.labelSelector={'a' * 5000}",
    ],
)
async def test_a_malformed_query_is_the_callers_fault(house: House, query: str) -> None:
    status, body = await house.call("GET", f"/api/v1/workflows/?{query}")
    assert (status, body["code"]) == (400, 3)


async def test_pages_follow_each_other_and_hold_what_fields_ask_for(filled: House) -> None:
    """As `argo list --chunk-size 2` reads them."""
    fields = "metadata,items.metadata.namespace,items.metadata.name,items.status.phase"
    path = f"/api/v1/workflows/?listOptions.limit=2&fields={fields}&listOptions.continue="
    seen, after, rounds = [], "", 0
    while rounds == 0 or after:
        _, body = await filled.call("GET", path + after)
        assert len(body["items"]) <= 2 and set(body["items"][0]) == {"metadata", "status"}
        seen += names(body)
        after, rounds = body["metadata"].get("continue", ""), rounds + 1
    assert (seen, rounds) == (ALL, 3)


async def test_latest_is_the_newest_of_its_namespace(filled: House) -> None:
    assert (await filled.call("GET", "/api/v1/workflows/ci/@latest"))[1]["metadata"]["name"] == "test-1"
    assert (await filled.call("GET", "/api/v1/workflows/prod/@latest"))[1]["metadata"]["name"] == "nightly"
    status, body = await filled.call("GET", "/api/v1/workflows/empty/@latest")
    assert (status, body["code"]) == (404, 5)


async def test_templates_have_a_name_pattern(house: House) -> None:
    for name in ("build", "rebuild", "test"):
        await put(house.store, template(labels.WORKFLOW_TEMPLATE, name))
    _, body = await house.call("GET", "/api/v1/workflow-templates/default?namePattern=build")
    assert [item["metadata"]["name"] for item in body["items"]] == ["build", "rebuild"]
    assert body["kind"] == "WorkflowTemplateList"


async def test_an_odd_object_does_not_break_the_list(house: House) -> None:
    """A number of thirty digits is more than the fast encoder can write."""
    made = await put(house.store, workflow("odd"))
    spec = {"arguments": {"parameters": [{"name": "n", "value": 10**30}]}}
    assert isinstance(house.store, MemoryStore)  # it keeps bodies as JSON, too: so the odd one is put in below it
    house.store._objects[Key(labels.WORKFLOW, "default", "odd")].body = {**made, "spec": spec}
    status, body = await house.call("GET", "/api/v1/workflows/")
    assert (status, body["items"][0]["spec"]) == (200, spec)


def test_a_position_survives_its_text() -> None:
    position = listing.Position("after", ("ns", "name"))
    assert listing.Position.decode(position.encode()) == position
    with pytest.raises(Invalid):
        listing.Position.decode("Zm9v")


object_names = st.text(st.sampled_from("ab1"), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.sampled_from(["x", "y", "z"]), object_names), max_size=25),
    st.integers(1, 7),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["", "a", "b1"]),
)
def test_all_pages_together_are_the_whole(objects: set[tuple[str, str]], limit: int, namespace: str, part: str) -> None:
    """Law: for any limit, namespace and name filter, the pages in order are what matches, in order, each once; no page
    but the last is short."""

    async def read() -> tuple[list[str], list[int]]:
        store = MemoryStore(ManualClock(), CountingRandom())
        for space, name in objects:
            await put(store, workflow(name, space))
        query = {"nameFilter": "Contains", "limit": str(limit), "continue": ""}
        if part:
            query["fieldSelector"] = f"metadata.name={part}"
        seen, sizes = [], []
        while True:
            page = await listing.page(store, labels.WORKFLOW, listing.parse(query, namespace))
            seen += names(page)
            sizes.append(len(page["items"]))
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return seen, sizes

    seen, sizes = asyncio.run(read())
    matching = sorted((s, n) for s, n in objects if namespace in ("", s) and part in n)
    assert seen == [f"{s}/{n}" for s, n in matching]
    assert all(size == limit for size in sizes[:-1])


async def test_a_page_goes_on_where_it_ended_though_the_list_has_changed(filled: House) -> None:
    """What was deleted is not missed, what came before the place is not shown, nothing comes twice."""
    path = "/api/v1/workflows/?listOptions.limit=2&listOptions.continue="
    _, first = await filled.call("GET", path)
    await filled.call("DELETE", "/api/v1/workflows/ci/build-2")
    await put(filled.store, workflow("aaa", "ci"))
    await put(filled.store, workflow("late", "ci"))
    _, rest = await filled.call("GET", path.replace("limit=2", "limit=9") + first["metadata"]["continue"])
    assert names(rest) == ["ci/late", "ci/test-1", "prod/build-1", "prod/nightly"]
