"""What happens to a run from here on: watch it, wait for it, print its logs. Ends when the run has ended.

Comes in: a client and the name of a run. Goes out: lines on the terminal, and the finished Workflow. Called by `submit`,
`watch`, `wait`, `logs`, `retry` and `resubmit`.
"""

from __future__ import annotations

import queue
import threading
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from syncd.argo.manifest import Body
from syncd.base.errors import NotFound, SyncdError, Unreachable
from syncd.cli import describe, output, tree, workflows
from syncd.cli.client import API, Client, segment
from syncd.cli.output import Terminal

_TRIES: Final = 5
_CLEAR: Final = "\x1b[H\x1b[2J\x1b[3J"


def states(client: Client, namespace: str, name: str) -> Iterator[Body]:
    """The run, whenever it changed, until it has ended. A broken connection is taken up again.

    Raises NotFound where there is none, or where it was deleted meanwhile; Unreachable where no daemon lets it go on.
    """
    body = client.get(workflows.path(namespace, name))
    name = body["metadata"]["name"]
    yield body
    if not client.acts and not _ended(body):
        raise Unreachable(f"no daemon is running, so workflow {name} stands still; start one with `syncd up`")
    broken = 0
    while not _ended(body):
        query = {"listOptions.fieldSelector": f"metadata.name={name}", "listOptions.resourceVersion": "0"}
        try:
            for event in client.stream(f"{API}/workflow-events/{segment(namespace)}", query):
                broken = 0
                if event["type"] == "DELETED":
                    raise NotFound(f"workflow {name} was deleted")
                body = event["object"]
                yield body
                if _ended(body):
                    return
        except Unreachable:
            broken += 1
            if broken > _TRIES:
                raise
            time.sleep(0.2 * 2**broken)
        body = client.get(workflows.path(namespace, name))
        yield body


def wait(client: Client, namespace: str, name: str) -> Body:
    """The run once it has ended."""
    return deque(states(client, namespace, name), maxlen=1)[0]


def ended_line(body: Body) -> str:
    """What `wait` says: `NAME PHASE at TIME`."""
    status = body["status"]
    return f"{body['metadata']['name']} {status.get('phase')} at {status.get('finishedAt')}"


def watch(
    client: Client, namespace: str, name: str, terminal: Terminal, form: str = "", wanted: Any = lambda _: True
) -> Body:
    """Show the run until it has ended: on a screen drawn anew, elsewhere a line for each step and the whole at the end."""
    if not terminal.live:
        return _tell(client, namespace, name, terminal, form, wanted)
    body: Body = {}
    shown = 0.0
    for found in _ticking(states(client, namespace, name)):
        body = found or body
        if not body or (found is not None and not _ended(body) and time.monotonic() - shown < 0.1):
            continue
        lines = describe.get(body, output.now(), terminal, form=form, wanted=wanted)
        terminal.write(_CLEAR + "\n".join(lines) + "\n")
        shown = time.monotonic()
    return body


def _tell(client: Client, namespace: str, name: str, terminal: Terminal, form: str, wanted: Any) -> Body:
    told: dict[str, str] = {}
    body: Body = {}
    drawing = tree.UTF8 if terminal.utf8 else tree.ASCII
    for body in states(client, namespace, name):
        nodes = (body.get("status") or {}).get("nodes") or {}
        for identity, node in nodes.items():
            phase = str(node.get("phase") or "")
            if node.get("type") not in ("Pod", "Suspend") or told.get(identity) == phase or phase == "Pending":
                continue
            told[identity] = phase
            icon, colour = drawing.icons.get(phase, ("", 39))
            message = f"  {output.clean(node['message'])}" if node.get("message") else ""
            shown = output.clean(node.get("displayName") or identity)
            said = f" {phase}" if terminal.utf8 else ""
            terminal.say(f"{terminal.paint(icon, colour)} {shown}{said}{message}")
    if told:
        terminal.say()
    for line in describe.get(body, output.now(), terminal, form=form, wanted=wanted):
        terminal.say(line)
    return body


def _ticking(source: Iterator[Body]) -> Iterator[Body | None]:
    """The values of `source`, and None for each second without one: durations go on although nothing changes."""
    found: queue.SimpleQueue[Body | BaseException | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for body in source:
                found.put(body)
            found.put(None)
        except (SyncdError, ValueError) as error:
            found.put(error)

    threading.Thread(target=read, name="watch", daemon=True).start()
    while True:
        try:
            value = found.get(timeout=1)
        except queue.Empty:
            yield None
            continue
        if value is None:
            return
        if isinstance(value, BaseException):
            raise value
        yield value


def log(
    client: Client,
    namespace: str,
    name: str,
    terminal: Terminal,
    *,
    step: str = "",
    query: dict[str, Any] | None = None,
    line: Callable[[str, str], str] | None = None,
) -> None:
    """Print the log of a run, or of one step of it: `pod: line`, a colour for each pod."""
    colours: dict[str, int] = {}
    for entry in client.stream(workflows.path(namespace, name, "log"), {**(query or {}), "podName": step}):
        pod, content = str(entry.get("podName") or ""), str(entry.get("content") or "")
        if line is not None:
            terminal.say(line(pod, content))
            continue
        if pod not in colours:
            colours[pod] = output.POD_COLOURS[sum(map(ord, pod)) % len(output.POD_COLOURS)]
        if terminal.live:
            content = output.harmless(content, colour=terminal.colour)
        terminal.say(f"{terminal.paint(f'{pod}:', colours[pod])} {content}")
    if (query or {}).get("logOptions.follow"):
        _check_ended(client, namespace, name)


def _check_ended(client: Client, namespace: str, name: str) -> None:
    """A log that was followed ends with its run. Raises Unreachable where it ended before: the daemon went away."""
    for pause in (0, 0.2, 0.5, 1, 2):  # the end of the log may be told a moment before the end of the run
        time.sleep(pause)
        try:
            if _ended(client.get(workflows.path(namespace, name))):
                return
        except NotFound:
            return  # deleted meanwhile
    raise Unreachable(f"the log of {name} broke off, but the workflow has not ended; ask again with --follow")


def follow(client: Client, found: list[Body], args: Namespace, terminal: Terminal, errors: Terminal) -> bool:
    """Do what --watch, --wait and --log say with runs that have begun; whether all is well with them.

    With `-o json|yaml` the finished objects are printed, one value each, and logs go to `errors`.
    """
    good = True
    for body in found:
        namespace, name = str(body["metadata"]["namespace"]), str(body["metadata"]["name"])
        silent = args.output in ("json", "yaml", "name")
        if args.log:
            beside = errors if args.output in ("json", "yaml") else terminal
            try:
                log(client, namespace, name, beside, query={"logOptions.follow": True})
            except NotFound as gone:  # a cluster's pods may go sooner than they are read; the run is what counts
                if not client.cluster:
                    raise
                errors.say(f"syncd: {output.clean(gone)}")
        if args.watch and not silent:
            ended = watch(client, namespace, name, terminal, args.output)
        else:
            ended = wait(client, namespace, name)
            if not silent:
                terminal.say(ended_line(ended))
        good &= not workflows.failed(ended)
        if args.output in ("json", "yaml"):
            workflows.show(ended, terminal, args.output)
    return good


def _ended(body: Body) -> bool:
    return bool((body.get("status") or {}).get("finishedAt"))
