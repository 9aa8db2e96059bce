"""The laws of the sync loop: however it came there, what is in force is what the last commit says."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.argo import labels
from syncd.cluster.api import Verb
from syncd.loops.terms import Options
from tests.loops.clustered import ClusterStage
from tests.loops.sourced import Stage, config_map, cron, template

NAMES = ("a", "b", "c")

contents = st.sampled_from(
    [
        None,
        config_map("one"),
        config_map("one", "changed"),
        config_map("two"),
        template("base"),
        template("base", "changed"),
        template("more", refers="base"),
        cron("nightly"),
        "kind: [\napiVersion: argoproj.io/v1alpha1\n",
        "not: ours\n",
    ]
)
commits = st.fixed_dictionaries({f"{name}.yaml": contents for name in NAMES})
events = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), commits),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("drift"), st.sampled_from(["one", "two"])),
    ),
    max_size=6,
)
GOOD = {"a.yaml": config_map("one"), "b.yaml": template("base", "last"), "c.yaml": cron("nightly", "0 4 * * *")}


async def specs(stage: Stage) -> dict[str, object]:
    """What is in force, without what the server adds."""
    found = {}
    for name in await stage.names():
        kind, _, rest = name.partition("/")
        body = await stage.live(kind, rest)
        kept = {field: value for field, value in body.items() if field not in ("metadata", "status")}
        marks = body["metadata"]["annotations"]
        found[name] = (kept, marks[labels.DIGEST], marks[labels.PATH])
    return found


async def played(history, options: Options) -> Stage:
    stage = Stage({}, options)
    for kind, value in history:
        if kind == "commit":
            stage.source.files = {path: text for path, text in value.items() if text is not None}
        elif kind == "restart":
            stage.start()
        elif f"ConfigMap/{value}" in await stage.names():
            await stage.by_hand(Verb.PATCH, "ConfigMap", value, {"data": {"key": "by hand"}})
        await stage.loop.step()
    return stage


@given(events, st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_history_that_ends_in_a_good_commit_ends_as_a_fresh_start_does(history, atomic):
    """Law: convergence. Objects that no commit wants any more are gone, drift included, whatever was held between."""

    async def ends() -> None:
        options = Options(atomic=atomic, max_delete_fraction=1.0)
        stage = await played(history, options)
        stage.source.files = dict(GOOD)
        report = await stage.loop.step(full=True)
        assert report.result in ("applied", "unchanged")
        fresh = Stage(GOOD, options)
        await fresh.loop.step()
        assert await specs(stage) == await specs(fresh)
        assert stage.loop.status()["objects"] == fresh.loop.status()["objects"]
        assert (await stage.start().step()).result == "unchanged"

    asyncio.run(ends())


watched = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), commits),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.sampled_from(["edit", "delete", "status"]), st.sampled_from(["one", "two"])),
    ),
    max_size=8,
)
EDITS = {"edit": {"data": {"key": "by hand"}}, "status": {"status": {"seen": True}}}


@given(watched, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_with_a_watch_no_comparison_of_everything_is_needed(history, atomic, between):
    """Law: whatever is changed by hand, in force or held, the events alone lead back to what the last commit says.

    between: each event is followed by a step of its own, else several come together.
    """

    async def ends() -> None:
        options = Options(atomic=atomic, max_delete_fraction=1.0)
        stage = ClusterStage({}, options)
        for kind, value in history:
            if kind == "commit":
                stage.source.files = {path: text for path, text in value.items() if text is not None}
                await stage.loop.step()
            elif kind == "restart":
                await stage.start().step()
            elif f"ConfigMap/{value}" in await stage.names():
                await stage.by_hand(
                    Verb.DELETE if kind == "delete" else Verb.PATCH, "ConfigMap", value, EDITS.get(kind)
                )
                await stage.watch("ConfigMap", value)
                if between:
                    await stage.loop.step(poll=False)
                stage.clock.advance(5)
        stage.source.files = dict(GOOD)
        stage.clock.advance(60)
        report = await stage.loop.step()
        assert report.result in ("applied", "unchanged")
        await stage.loop.step(poll=False)
        fresh = Stage(GOOD, options)
        await fresh.loop.step()
        assert await specs(stage) == await specs(fresh)
        stage.store.written.clear()
        assert (await stage.loop.step(full=True)).result == "unchanged"
        assert stage.store.written == []

    asyncio.run(ends())


@given(commits, commits)
@settings(max_examples=40, deadline=None)
def test_a_difference_brings_what_a_full_comparison_brings(first, second):
    """Law: incremental is from scratch: after a step over the difference, a full comparison finds nothing to do."""

    async def ends() -> None:
        options = Options(atomic=False, max_delete_fraction=1.0)
        stage = await played([("commit", first), ("commit", second)], options)
        stage.store.written.clear()
        report = await stage.loop.step(full=True)
        assert (report.created, report.updated, report.deleted) == (0, 0, 0)
        assert stage.store.written == []

    asyncio.run(ends())
