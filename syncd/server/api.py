"""What the server needs from the rest of the house, as protocols; `app` hands in the real things.

Every method may raise the errors of `base.errors`: `faults` turns them into answers. `by` says who asks, for the record:
the name of the credential, and what the client said of its user (`local:alice`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from syncd.argo.manifest import Body, Key
from syncd.base.clock import Clock
from syncd.base.problems import Problem
from syncd.cluster.api import Store
from syncd.execute.api import Logs


class Runs(Protocol):
    """What can be done with Workflows. Implemented by `loops.run` and `loops.submit`."""

    async def submit(self, body: Body, *, by: str, dry_run: bool = False) -> Body:
        """Create a Workflow: lint, generateName, create. body has kind, apiVersion and metadata.namespace.

        Answers the created object; for dry_run what would be created. Raises Invalid (with problems), AlreadyExists.
        """

    async def submit_from(self, kind: str, namespace: str, name: str, options: Mapping[str, Any], *, by: str) -> Body:
        """Create a Workflow from a template, a cron, or a Workflow or Job that a source offers.

        kind: WorkflowTemplate | ClusterWorkflowTemplate | CronWorkflow | CronJob | Workflow | Job, spelt so.
        namespace: where the run shall be. options: Argo's SubmitOpts: name, generateName, entryPoint,
        parameters ["k=v"], labels "a=b,c=d", annotations, serviceAccount, dryRun, serverDryRun, priority, …
        """

    async def operate(self, key: Key, verb: str, arguments: Mapping[str, Any], *, by: str) -> Body:
        """suspend | resume | stop | terminate | retry | set, and the Workflow after it. Conflict where its phase forbids it.

        arguments, each only where the client gave it: nodeFieldSelector (text), message (text), phase (text),
        outputParameters (a mapping of name to value), restartSuccessful (bool), parameters (["k=v"]).
        """

    async def resubmit(self, key: Key, arguments: Mapping[str, Any], *, by: str) -> Body:
        """Create a new Workflow from an old one, and answer it. arguments: memoized (bool), parameters (["k=v"])."""

    async def delete(self, key: Key, *, force: bool, by: str) -> None:
        """End the run if it still runs, and remove it with its logs. NotFound where there is none."""


class Crons(Protocol):
    """What can be done with CronWorkflows and CronJobs. Implemented by `loops.fire`."""

    async def trigger(self, key: Key, *, by: str) -> Body:
        """Run it now; answers the child."""

    async def suspend(self, key: Key, *, by: str) -> Body:
        """Hold its schedule by hand; answers the object. Repeating it changes nothing."""

    async def resume(self, key: Key, *, by: str) -> Body:
        """Let its schedule go on; answers the object. Repeating it changes nothing."""

    async def explain(self, key: Key, slot: datetime | None, limit: int) -> dict[str, Any]:
        """Why it did or did not run. slot: None = in general; limit: how many rows of the ledger to tell."""

    def next_fire(self, key: Key, body: Body) -> datetime | None:
        """When it fires next, aware UTC. None: never, or not known here (no daemon runs). body: the live object."""


class Sources(Protocol):
    """What can be asked of sources. Implemented over `loops.sync`. An unknown name raises NotFound."""

    async def refresh(self) -> None:
        """Called before a question: what is known from elsewhere (another replica syncs) is read again."""

    def names(self) -> list[str]:
        """All configured sources, in the order of the configuration."""

    def status(self, name: str) -> dict[str, Any]:
        """Where it stands, JSON-able; no credential in it."""

    def problems(self, name: str) -> Sequence[Problem]:
        """What is wrong with the newest revision, in file order."""

    async def plan(self, name: str) -> dict[str, Any]:
        """What a sync would change now, JSON-able; changes nothing."""

    async def sync(self, name: str, wait: bool) -> dict[str, Any]:
        """Ask for a sync now; with wait, answer when it has ended. The status."""

    async def approve(self, name: str, revision: str, by: str) -> dict[str, Any]:
        """Let a held revision through. Conflict where that revision is not the one held. The status."""

    def ignored(self, name: str) -> Sequence[tuple[str, str]]:
        """(path, reason) of every file or document that is none of ours."""


@dataclass(frozen=True, slots=True)
class Download:
    """The bytes of an artifact. name: a file name to propose; size_bytes: None = not known before they are read."""

    name: str
    chunks: AsyncIterator[bytes]
    size_bytes: int | None = None


class Bytes(Protocol):
    """Where artifacts are read from. Implemented over `artifacts`."""

    async def open_artifact(self, run: Body, artifact: Mapping[str, Any]) -> Download:
        """The bytes at the location of `artifact` (an entry of a node's inputs or outputs) of `run`.

        Raises before the first byte where it can: NotFound, Refused, Unreachable, Unsupported.
        """


@dataclass(frozen=True, slots=True)
class Version:
    """Argo's version object. git_commit, build_date: "" where not known."""

    version: str
    git_commit: str = ""
    build_date: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that routes may reach, and nothing else.

    lint: the problems of one object in the light of what is in force; metrics: Accept header → (text, content type);
    ready, live: reasons why not, [] = all is well; about: facts for `status` (mode, state directory, runtime, …);
    reload: read the configuration again and say what changed.
    """

    runs: Runs
    crons: Crons
    sources: Sources
    artifacts: Bytes
    store: Store
    logs: Logs
    clock: Clock
    version: Version
    lint: Callable[[Body], Awaitable[Sequence[Problem]]]
    metrics: Callable[[str], tuple[bytes, str]]
    ready: Callable[[], list[str]]
    live: Callable[[], list[str]]
    about: Callable[[], Mapping[str, Any]]
    reload: Callable[[], Awaitable[Mapping[str, Any]]]
