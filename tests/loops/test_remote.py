"""What people do with runs that Argo's controller runs: what it obeys is let through, the rest says which command of Argo's does it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.argo import labels
from syncd.argo.manifest import Key
from syncd.base.errors import Conflict, SyncdError, Unsupported
from syncd.cluster.api import Verb, Write
from syncd.cluster.memory import MemoryStore
from syncd.loops.remote import RemoteRuns
from tests.support.clocks import CountingRandom, ManualClock

KEY = Key(labels.WORKFLOW, "ci", "build-1")
WAITING = {"n": {"type": "Suspend", "phase": "Running"}}


@pytest.mark.parametrize(
    ("verb", "arguments", "status", "error", "says"),
    [
        ("stop", {}, {"phase": "Running"}, None, ""),
        ("terminate", {}, {"phase": "Running"}, None, ""),
        ("suspend", {}, {}, None, ""),
        ("resume", {}, {"phase": "Running"}, None, ""),
        ("resume", {}, {"phase": "Running", "nodes": WAITING}, Unsupported, "argo resume build-1 -n ci"),
        ("retry", {}, {"phase": "Failed"}, Unsupported, "argo retry build-1 -n ci"),
        ("set", {}, {"phase": "Running"}, Unsupported, "argo node set build-1 -n ci"),
        ("stop", {"nodeFieldSelector": "a=b"}, {"phase": "Running"}, Unsupported, "argo stop build-1 -n ci"),
        ("stop", {}, {"phase": "Succeeded"}, Conflict, "has ended"),
    ],
)
async def test_what_is_obeyed_and_what_is_argos(
    verb: str, arguments: dict[str, str], status: dict[str, Any], error: type[SyncdError] | None, says: str
) -> None:
    store = MemoryStore(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), CountingRandom())
    body = {"metadata": {"name": "build-1", "namespace": "ci"}, "spec": {}, "status": status}
    await store.write([Write(Verb.CREATE, KEY, {"apiVersion": labels.ARGO_API, "kind": labels.WORKFLOW, **body})])
    runs = RemoteRuns(store)
    if error is None:
        await runs.operate(KEY, verb, arguments, by="ada")
        return
    with pytest.raises(error, match=says):
        await runs.operate(KEY, verb, arguments, by="ada")
