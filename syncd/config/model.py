"""Every knob of syncd: name, type, default, meaning. The one table; `load` fills it, `describe` makes docs/config.md of it.

A field is a knob: its name in the file is the same in camelCase, its type says what is read (a `timedelta` is written
`30s`, `1h30m` or `7d`; a size `3Mi`), `knob()` gives the default and the meaning. Files named here are read where they
are used, never by the configuration, so that a rotated secret needs no restart and no secret gets into a Config.
"""

# ruff: noqa: RUF009 - knob() is dataclasses.field() with words
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

_MIB = 1024 * 1024


def knob(default: Any, meaning: str, *, size: bool = False) -> Any:
    """A field with its meaning. size: bytes, written as a Kubernetes quantity. A callable default makes a fresh value."""
    metadata = {"meaning": meaning, "size": size}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


class Atomic(StrEnum):
    """What one invalid manifest holds back."""

    SOURCE = "source"
    OBJECT = "object"


class Workflows(StrEnum):
    """What becomes of a Workflow or Job in git."""

    OFFER = "offer"
    RUN = "run"


class Runtime(StrEnum):
    """What runs a step."""

    AUTO = "auto"
    SANDBOX = "sandbox"
    CONTAINER = "container"


class Mode(StrEnum):
    """Where objects live and who runs a Workflow."""

    EMBEDDED = "embedded"
    KUBERNETES = "kubernetes"


class Scheduler(StrEnum):
    """Who fires the CronWorkflows of a cluster."""

    SYNCD = "syncd"
    ARGO = "argo"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """What is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Ref:
    """What of a repository is served; at most one is set, none means the remote's default branch. A plain text in the
    file, or behind `#`, is `text`: a full commit, a full ref name (`refs/…`), a tag or a branch, found in this order."""

    text: str = knob("", "commit, full ref name, tag or branch, found in this order")
    commit: str = knob("", "a full commit id, 40 or 64 hex digits")
    name: str = knob("", "a full ref name, such as refs/pull/420/head")
    semver: str = knob("", "the highest tag in a range of versions, such as `>=1.2 <2`")
    tag: str = knob("", "a tag")
    branch: str = knob("", "a branch")


@dataclass(frozen=True, slots=True)
class Auth:
    """How to identify to a remote: names of files, read again at each fetch."""

    username: str = knob("", "user for https; a token mostly takes any")
    username_file: str = knob("", "file that holds the user for https")
    password_file: str = knob("", "file that holds the password or token for https")
    ca_file: str = knob("", "file with the certificates to trust for https, in place of the system's")
    identity_file: str = knob(
        "", "file with the private key for ssh; without one the agent and ~/.ssh of syncd's user serve"
    )
    known_hosts_file: str = knob(
        "", "file with the host keys for ssh; needed with identityFile: unknown hosts are refused"
    )


@dataclass(frozen=True, slots=True)
class Prune:
    """What may be deleted when it goes from the source."""

    enabled: bool = knob(True, "false: nothing that goes from the source is deleted")
    max_delete_fraction: float = knob(
        0.5, "a commit that would delete more than this part of the source's objects is held until approved"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """A place that manifests come from: a git repository by url or path, or a plain directory."""

    name: str = knob(
        "", "what it is called everywhere: lower-case letters, digits, - and .; from url or path if not given"
    )
    url: str = knob("", "git over https://, ssh:// or the scp form user@host:path, or file://")
    path: str = knob("", "local git work tree, bare repository, or plain directory")
    ref: Ref = knob(
        Ref,
        "branch, tag or commit as text, or a mapping with one of the names below; default: the remote's default branch",
    )
    folder: str = knob("", "folder of the repository; manifests elsewhere are not read")
    include: tuple[str, ...] = knob((), "globs of files to read; default: every .yaml, .yml and .json")
    exclude: tuple[str, ...] = knob((), "globs of files to leave out")
    interval: timedelta = knob(timedelta(seconds=30), "how often the remote is asked; a little jitter is added")
    timeout: timedelta = knob(timedelta(seconds=60), "how long one git command may take")
    auth: Auth = knob(Auth, "how to identify")
    allow_http: bool = knob(False, "permit an http:// url: anybody on the way can read and change what is fetched")
    worktree: bool = knob(False, "serve the files of a local path as they are, committed or not")
    atomic: Atomic = knob(Atomic.SOURCE, "what one invalid manifest holds back: the source, or the object")
    namespace: str = knob("default", "namespace of manifests that name none")
    workflows: Workflows = knob(Workflows.OFFER, "a Workflow or Job in git is offered to `submit`, or run once")
    prune: Prune = knob(Prune, "what may be deleted")
    secrets: bool = knob(False, "permit Secrets in this source")
    kinds: tuple[str, ...] = knob((), "the kinds that the source may bring; default: all that syncd knows")
    namespaces: tuple[str, ...] = knob((), "the namespaces that the source may write to; default: all")
    suspend: bool = knob(False, "true: neither fetched nor applied; what is in force stays")
    ignore: Mapping[str, tuple[str, ...]] = knob(
        dict, "kind → fields such as `spec.suspend` that others may write: never compared, never written over"
    )
    impersonate: str = knob(
        "",
        "in a cluster: act as this user for what the source writes, such as `system:serviceaccount:ci:deployer`",
    )


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the API is served."""

    host: str = knob("127.0.0.1", "address; anything but loopback needs listen.tokensFile")
    port: int = knob(2746, "port; 0 = any free one")
    tokens_file: str = knob("", "file with accepted tokens, one a line, besides the one in the state directory")
    allowed_hosts: tuple[str, ...] = knob((), "further names under which the API may be called (Host header)")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The bubblewrap runtime."""

    read_only: tuple[str, ...] = knob((), "further directories of the machine that steps may read")
    tools: tuple[str, ...] = knob((), "further directories with programs; put first in PATH")
    images: Mapping[str, tuple[str, ...]] = knob(dict, "image → command that stands for its entrypoint")
    network: bool = knob(True, "false: steps see no network")


@dataclass(frozen=True, slots=True)
class Container:
    """The container runtime."""

    engine: str = knob("", "podman or docker (or a path of one); default: the first that starts a container")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When crons fire."""

    enabled: bool = knob(True, "false: nothing is fired by schedule")
    grace: timedelta = knob(timedelta(seconds=60), "how late a slot may fire whose daemon was down")
    catch_up_cap: int = knob(10, "how many missed slots `syncd.io/catch-up: all` may fire at most")
    scheduler: Scheduler = knob(
        Scheduler.SYNCD,
        "in a cluster: who fires; argo: crons are applied as they are, and those with syncd's label fired",
    )
    instance_id: str = knob(
        "",
        "in a cluster: instance id of the workflow-controller that shall run what is fired; default: the one without",
    )
    finish_within: timedelta = knob(
        timedelta(hours=1),
        "by when after its slot a run should have succeeded, for the alerts; a cron says otherwise by `syncd.io/finish-within`",
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """Which of several replicas acts."""

    name: str = knob("syncd", "the Lease object; installations that share a namespace need one each")
    duration: timedelta = knob(timedelta(seconds=15), "after so long without a sign of life another replica takes over")
    renew_deadline: timedelta = knob(timedelta(seconds=10), "a leader that could not renew for so long stops acting")
    retry: timedelta = knob(timedelta(seconds=2), "how often the leader renews, and the others look")


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The cluster, for `mode: kubernetes`."""

    kubeconfig: str = knob(
        "", "file with the credentials; default: the service account of the pod, else $KUBECONFIG or ~/.kube/config"
    )
    context: str = knob("", "context of the kubeconfig; default: its current one")
    namespace: str = knob(
        "", "where lease, ledger, inventory and Source objects live; default: the pod's namespace, or the context's"
    )
    namespaces: tuple[str, ...] = knob(
        (), "the namespaces that are looked at: crons fired, runs watched; default: all, which needs a ClusterRole"
    )
    requests_in_flight: int = knob(16, "requests to the API server at once")
    requests_per_second: float = knob(1000.0, "requests to the API server a second; 0 = no limit of our own")
    max_clock_skew: timedelta = knob(
        timedelta(seconds=5), "a replica whose clock is further than this from the API server's does not lead"
    )
    lease: Lease = knob(Lease, "which of several replicas acts")


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of finished runs, and how long. An age of 0s and a count of 0 mean no limit of this kind."""

    runs_age: timedelta = knob(timedelta(days=30), "finished runs older than this are deleted")
    runs_count: int = knob(1000, "finished runs beyond this number per namespace are deleted, oldest first")
    logs_age: timedelta = knob(timedelta(days=30), "logs older than this are deleted, though their run may stay")
    artifacts_age: timedelta = knob(timedelta(days=30), "artifacts in the local repository older than this are deleted")
    ledger_age: timedelta = knob(timedelta(days=90), "rows of the schedule's ledger older than this are deleted")
    ledger_count: int = knob(500, "rows of the ledger that each cron keeps, however old")


@dataclass(frozen=True, slots=True)
class Log:
    """What the daemon says of itself."""

    format: LogFormat = knob(LogFormat.AUTO, "text, json, or auto: text on a terminal, else json")
    level: LogLevel = knob(LogLevel.INFO, "debug, info, warning or error")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may cost: everything in a repository is hostile."""

    file_bytes: int = knob(3 * _MIB, "size of one file", size=True)
    files: int = knob(50_000, "candidate files of a source")
    documents: int = knob(2000, "documents of one file")
    nodes: int = knob(250_000, "values of one document, aliases written out")
    depth: int = knob(100, "levels that a document may nest")
    source_bytes: int = knob(1024 * _MIB, "size of all candidate files of a source", size=True)


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    state: str = knob(
        "", "directory for everything that is kept; default: $XDG_STATE_HOME/syncd or ~/.local/state/syncd"
    )
    sources: tuple[Source, ...] = knob((), "where manifests come from")
    listen: Listen = knob(Listen, "where the API is served")
    mode: Mode = knob(
        Mode.EMBEDDED,
        "embedded: everything on this machine; kubernetes: objects in a cluster, run by Argo's controller",
    )
    kubernetes: Kubernetes = knob(Kubernetes, "the cluster, for `mode: kubernetes`")
    runtime: Runtime = knob(
        Runtime.AUTO, "what runs a step: sandbox, container, or auto: container where an engine works"
    )
    sandbox: Sandbox = knob(Sandbox, "the bubblewrap runtime")
    container: Container = knob(Container, "the container runtime")
    schedule: Schedule = knob(Schedule, "when crons fire")
    parallelism: int = knob(0, "how many steps run at once; 0 = twice the number of cores")
    retention: Retention = knob(Retention, "what is kept of finished runs")
    artifact_repository: Mapping[str, Any] = knob(
        dict, "where artifacts go, in Argo's form (s3, archiveLogs, …); default: a directory of the state"
    )
    secrets_directory: str = knob(
        "", "values of Secrets, DIRECTORY/<namespace>/<secret>/<key>, each a file outside git"
    )
    workflow_defaults: Mapping[str, Any] = knob(
        dict, "a Workflow (metadata, spec) whose fields every run gets that lacks them"
    )
    log: Log = knob(Log, "what the daemon says of itself")
    disk_reserve: int = knob(256 * _MIB, "free space below which no step is started", size=True)
    limits: Limits = knob(Limits, "what a source may cost")
    drift_interval: timedelta = knob(
        timedelta(minutes=10), "how often objects are compared with git though nothing changed"
    )


def camel(name: str) -> str:
    """A field's name as the file writes it.

    >>> camel("max_delete_fraction")
    'maxDeleteFraction'
    """
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
