"""Events as sentences for a person at a terminal: what `syncd up` prints. Subscribes to the bus; writes lines, never colours."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TextIO
from zoneinfo import ZoneInfo

from syncd.base.clock import Clock
from syncd.base.units import human_duration
from syncd.cron.ledger import Outcome
from syncd.observe import events, journal


class Words:
    """A line for each event that a person wants to see. zones: of crons, by key, told by whoever knows them."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._told: dict[str, str] = {}

    def begin(self, version: str, state: str, runtime: str, url: str, login: str) -> None:
        """The first lines."""
        self.say(f"syncd {version} · embedded · state {state} · {runtime}")
        self.say(f"API {url}   metrics {url}/metrics")
        self.say(f"browser {login}")

    def say(self, line: str) -> None:
        """Print a line: commits, steps and remotes can neither forge one nor repaint the terminal. Nobody listens: never mind."""
        with contextlib.suppress(OSError):
            print(journal.plain(line), file=self._stream, flush=True)

    def __call__(self, event: events.Event) -> None:
        line = self.sentence(event)
        if line:
            self.say(line)

    def sentence(self, event: events.Event) -> str:
        """What there is to say; "" = nothing, or nothing new."""
        if isinstance(event, events.SourceSynced):
            return self._new(f"source {event.source}", _synced(event))
        if isinstance(event, events.SourceChecked):
            if event.error:
                return self._failed(event.source, event.error)
            failed = self._told.pop(f"source {event.source} remote", "")
            return f"source {event.source}  answers again" if failed else ""
        if isinstance(event, events.LoopFailed):
            kind, _, name = event.loop.partition(" ")
            if kind == "sync":
                return self._failed(name, event.message)
            return self._new(f"loop {event.loop}", f"{event.loop}  {event.message}")
        if isinstance(event, events.CronArmed):
            line = f"cron {event.cron.name}  {_next(event, self._clock.now())}"
            return self._new(f"cron {event.cron}", line)
        if isinstance(event, events.CronRemoved):
            self._told.pop(f"cron {event.cron}", None)
            return f"cron {event.cron.name}  removed"
        if isinstance(event, events.SlotDecided) and event.row.outcome is not Outcome.PENDING:
            row = event.row
            many = f" and {row.count - 1} more" if row.count > 1 else ""
            run = f"  {row.run}" if row.run else ""
            return f"slot {row.cron.name}  {row.slot:%Y-%m-%d %H:%M:%S} UTC{many}  {row.outcome} ({row.reason}){run}"
        if isinstance(event, events.RunStarted):
            return f"run {event.run.name}  started  {event.origin}"
        if isinstance(event, events.RunFinished):
            message = f"  {event.message}" if event.message else ""
            return f"run {event.run.name}  {event.phase}  {event.seconds:.0f} s{message}"
        if isinstance(event, events.DriftCorrected):
            return f"source {event.source}  {journal.drift(event)}"
        if isinstance(event, events.LateSuccess):
            return f"run {event.run.name}  succeeded late: {human_duration(event.at - event.slot)} after its slot"
        if isinstance(event, events.StartsHeld):
            return event.reason or "steps are started again"
        return ""

    def _failed(self, source: str, error: str) -> str:
        return self._new(f"source {source} remote", f"source {source}  {error}")

    def _new(self, about: str, line: str) -> str:
        if self._told.get(about) == line:
            return ""
        self._told[about] = line
        return line


def _synced(event: events.SourceSynced) -> str:
    counts = [
        f"{count} {word}"
        for count, word in (
            (event.created, "created"),
            (event.updated, "updated"),
            (event.deleted, "deleted"),
            (event.unchanged, "unchanged"),
            (event.offered, "to submit"),
        )
        if count
    ]
    told = ", ".join(counts) or "nothing to do"
    if event.result in ("held", "failed"):
        faults = f"; {event.errors} error{'s' if event.errors != 1 else ''}" if event.errors else ""
        kept = f"; in force stays {event.applied_revision}" if event.applied_revision else ""
        return f"source {event.source}  {event.revision}  {event.result}: {event.reason}{faults}{kept}"
    warned = f", {event.warnings} warning{'s' if event.warnings != 1 else ''}" if event.warnings else ""
    return f"source {event.source}  {event.revision}  {told}{warned}   {event.seconds:.2f} s"


def _next(event: events.CronArmed, now: datetime) -> str:
    if event.next_fire is None:
        return "does not fire (suspended, stopped, or never due)"
    zone = ZoneInfo(event.timezone or "UTC")
    local = event.next_fire.astimezone(zone)
    return f"next {local:%Y-%m-%d %H:%M} {event.timezone or 'UTC'} (in {human_duration(event.next_fire - now)})"
