"""Short words for writes and objects, for tests of stores and of what stands on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from syncd.argo.manifest import Body, Key
from syncd.base.errors import SyncdError
from syncd.cluster.api import Changed, Store, Verb, Write, Written


def workflow(name: str, namespace: str = "ci") -> Key:
    return Key("Workflow", namespace, name)


def template(name: str, namespace: str = "ci") -> Key:
    return Key("WorkflowTemplate", namespace, name)


def body(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **fields: Any) -> Body:
    """A body with this metadata and these top-level fields."""
    metadata: dict[str, Any] = {}
    if labels is not None:
        metadata["labels"] = labels
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, **fields}


async def do(store: Store, verb: Verb, key: Key, given: Body | None = None, **conditions: str) -> Body:
    """One write that must succeed; answers the body."""
    (written,) = await store.write([Write(verb, key, given, **conditions)])
    if written.error is not None:
        raise written.error
    assert written.body is not None
    return written.body


async def create(store: Store, key: Key, given: Body | None = None) -> Body:
    return await do(store, Verb.CREATE, key, given if given is not None else {"spec": {}})


async def delete(store: Store, key: Key) -> None:
    """Delete what is there."""
    (written,) = await store.write([Write(Verb.DELETE, key)])
    if written.error is not None:
        raise written.error


def errors(written: list[Written] | tuple[Written, ...]) -> list[type[SyncdError] | None]:
    return [None if one.error is None else type(one.error) for one in written]


async def take(changes: AsyncIterator[Changed], count: int) -> list[Changed]:
    """The next changes of a watch; fails rather than hangs."""
    async with asyncio.timeout(20):
        return [await anext(changes) for _ in range(count)]


def seen(changes: list[Changed]) -> list[tuple[str, str]]:
    return [(change.kind, change.key.name) for change in changes]
