"""The log: how lines look, what never gets into them, and which events are worth one.

In: the standard library's log records (every module says `logging.getLogger(__name__)`), and events of the bus. Out: lines on
one stream: JSON, one object a line, where nobody watches; text for people on a terminal. Set up once by `app.configure`;
nothing else in syncd touches handlers.

Whatever module wrote it, a line passes `Redactor`: user info in URLs, authorization headers, private keys and the values
that `app` registered (tokens) are masked, in messages, fields and tracebacks alike. Control characters are escaped, so
that text from a repository cannot forge a line nor repaint a terminal.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO
from urllib.parse import quote

from syncd.base.units import human_duration
from syncd.cron.ledger import Outcome
from syncd.observe import events
from syncd.observe.events import Event

MASK: Final = "***"
LINE_LIMIT: Final = 8192
"""Characters of a message or field; tracebacks get twice as many."""

_PATTERNS: Final = (
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/@:'\"]*(:[^\s/@'\"]*)?@"), r"\1" + MASK + "@"),
    (re.compile(r"(?i)\b(authorization\b['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic)\s+)?)[^\s'\",]+"), r"\1" + MASK),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), r"\1" + MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"\b(gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{10,}"), r"\1" + MASK),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Masks what must not be seen. values: secrets known by value, masked also in their URL-encoded form."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: tuple[str, ...] = ()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Mask this value from now on. Values shorter than 6 characters would mask words, and are not taken."""
        if len(value) >= 6:
            forms = {value, quote(value, safe=""), json.dumps(value)[1:-1]}
            self._values = tuple(sorted({*self._values, *forms}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """The text, masked.

        >>> Redactor(["hunter2"])("https://ada:pw@git.example/x said hunter2")
        'https://***@git.example/x said ***'
        """
        for value in self._values:
            text = text.replace(value, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class _Formatter(logging.Formatter):
    """What both forms share: the message, the fields given by `extra=`, the traceback, all of them masked and capped."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def text(self, value: object, limit: int = LINE_LIMIT) -> str:
        text = str(value)
        if len(text) > limit:
            text = text[:limit] + "…"
        return self._redact(text.encode("utf-8", "backslashreplace").decode())

    def message(self, record: logging.LogRecord) -> str:
        try:
            said = record.getMessage()
        except (TypeError, ValueError):  # a wrong format string must not cost the line
            said = f"{record.msg!r} {record.args!r}"
        return self.text(said)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            name: value if isinstance(value, int | float) or value is None else self.text(value)
            for name, value in vars(record).items()
            if name not in _STANDARD and not name.startswith("_")
        }

    def trace(self, record: logging.LogRecord) -> str:
        if not record.exc_info or record.exc_info[0] is None:
            return ""
        return self.text("".join(traceback.format_exception(*record.exc_info)).rstrip(), 2 * LINE_LIMIT)


class JsonLines(_Formatter):
    """One JSON object a line: time, level, logger, message, then the fields and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
        }
        line |= {name: value for name, value in self.fields(record).items() if name not in line}
        if trace := self.trace(record):
            line["traceback"] = trace
        return json.dumps(line, ensure_ascii=False, allow_nan=True)


class HumanText(_Formatter):
    """For people: time of day, a word where it is not plain information, the message, fields, the traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        parts = [f"{_moment(record).astimezone():%H:%M:%S} {level}{plain(self.message(record))}"]
        if record.levelno != logging.INFO:
            parts += [f"{name}={plain(str(value))}" for name, value in self.fields(record).items()]
        line = " ".join(parts)
        trace = self.trace(record)
        return f"{line}\n{plain(trace)}" if trace else line


def configure(stream: TextIO, *, level: str = "info", form: str = "auto", redactor: Redactor | None = None) -> Redactor:
    """Send syncd's log to `stream`; answers the redactor, to which more secrets can be added.

    level: debug | info | warning | error; form: json | text | auto (text on a terminal). Repeating it replaces what an
    earlier call set up. Raises ValueError for an unknown word. Loggers of libraries stay at warning.
    """
    if form not in ("auto", "json", "text"):
        raise ValueError(f"log format {form!r} is not known; use auto, json or text")
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    if level not in levels:
        raise ValueError(f"log level {level!r} is not known; use {', '.join(levels)}")
    redactor = redactor or Redactor()
    human = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanText(redactor) if human else JsonLines(redactor))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, _Formatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, levels[level]))
    logging.getLogger("syncd").setLevel(levels[level])
    return redactor


class Journal:
    """The subscriber that turns events into log lines: one where something happened, none where nothing did."""

    def __init__(self, log: logging.Logger | None = None) -> None:
        self._log = log or logging.getLogger("syncd")

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        said = line(event)
        if said is not None:
            level, message, fields = said
            self._log.log(level, "%s", message, extra={"event": type(event).__name__, **fields})


def line(event: Event) -> tuple[int, str, Mapping[str, Any]] | None:
    """Level, message and fields of an event; None where it is not worth a line."""
    match event:
        case events.SourceChecked(source=source, error=error) if error:  # the runner says it louder, and when again
            return logging.DEBUG, f"source {source}: {error}", {"source": source}
        case events.SourceSynced():
            return _synced(event)
        case events.SourceRemoved(source=source):
            return logging.INFO, f"source {source}: no longer configured", {"source": source}
        case events.SlotDecided(row=row) if row.outcome is not Outcome.PENDING:
            missed = row.outcome in (Outcome.MISSED, Outcome.FAILED)
            many = f" and {row.count - 1} more until {row.until:%Y-%m-%dT%H:%M:%SZ}" if row.count > 1 else ""
            said = f": {row.message}" if row.message else ""
            slot = f"slot {row.slot:%Y-%m-%dT%H:%M:%SZ}{many} {row.outcome} ({row.reason}){said}"
            return (
                logging.WARNING if missed else logging.INFO,
                f"cron {row.cron.namespace}/{row.cron.name}: {slot}",
                {"cron": str(row.cron), "outcome": str(row.outcome), "reason": str(row.reason), "run": row.run},
            )
        case events.DriftCorrected(source=source):
            return logging.WARNING, f"source {source}: {drift(event)}", {"source": source, "object": str(event.object)}
        case events.LateSuccess(cron=cron, run=run, slot=slot):
            late = f"{run.name} succeeded {human_duration(event.at - slot)} after its slot {slot:%Y-%m-%dT%H:%M:%SZ}"
            said = f"cron {cron.namespace}/{cron.name}: {late}, later than it should"
            return logging.WARNING, said, {"cron": str(cron), "run": str(run)}
        case events.CronArmed(cron=cron, next_fire=at):
            when = f"next {at:%Y-%m-%dT%H:%M:%SZ}" if at else "does not fire"
            return logging.DEBUG, f"cron {cron.namespace}/{cron.name}: {when}", {"cron": str(cron)}
        case events.RunStarted(run=run, origin=origin):
            return logging.INFO, f"run {run.namespace}/{run.name}: started", {"run": str(run), "origin": origin}
        case events.RunFinished(run=run, phase=phase):
            because = f": {event.message}" if event.message else ""
            return (
                logging.INFO if phase == "Succeeded" else logging.WARNING,
                f"run {run.namespace}/{run.name}: {phase} after {event.seconds:.1f} s{because}",
                {"run": str(run), "origin": event.origin, "phase": phase, "seconds": round(event.seconds, 3)},
            )
        case events.RunGone(run=run, origin=origin):
            said = f"run {run.namespace}/{run.name}: gone before it was seen to end"
            return logging.INFO, said, {"run": str(run), "origin": origin}
        case events.LeadershipChanged(leading=leading, holder=holder):
            other = f"{holder} does" if holder else "nobody is known to"
            said = "this replica leads" if leading else f"this replica does not lead; {other}"
            return logging.WARNING, said, {"leading": leading, "holder": holder}
        case events.WatchRestarted(kind=kind, reason=reason):
            return logging.DEBUG, f"watch of {kind}: begun again ({reason})", {"kind": kind, "reason": reason}
        case events.StartsHeld(reason=reason):
            if reason:
                return logging.ERROR, f"new starts are held back: {reason}", {"reason": reason}
            return logging.INFO, "new starts are no longer held back", {}
        case events.LoopFailed():
            said = f"loop {event.loop}: {event.message}; again in {event.again_in_seconds:.0f} s"
            return logging.DEBUG if event.repeated else logging.WARNING, said, {"loop": event.loop, "kind": event.kind}
        case _:
            return None


def drift(event: events.DriftCorrected) -> str:
    """What was put right, in words."""
    named = ", ".join(event.fields[:5]) + (f" and {len(event.fields) - 5} more" if len(event.fields) > 5 else "")
    by = f" changed by {event.by}" if event.by else " changed by somebody"
    since = f" since {event.since:%Y-%m-%dT%H:%M:%SZ}" if event.since else ""
    return f"{event.object} was put right: {named or 'it was gone'}{by if named else ''}{since}"


def _synced(event: events.SourceSynced) -> tuple[int, str, Mapping[str, Any]] | None:
    fields: dict[str, Any] = {
        "source": event.source,
        "revision": event.revision,
        "applied": event.applied_revision,
        "result": event.result,
        "seconds": round(event.seconds, 3),
    }
    counted = ("created", "updated", "deleted", "unchanged", "ignored")
    fields |= {f"objects_{name}": getattr(event, name) for name in counted}  # a LogRecord has a `created` of its own
    fields |= {"errors": event.errors, "warnings": event.warnings}
    fields |= {"conflicts": event.conflicts, "drifted": event.drifted}
    if event.result in ("held", "failed"):
        why = event.reason or "unknown"
        at = f" {event.revision}" if event.revision else ""
        said = f"source {event.source}{at} {event.result}: {why}"
        if event.errors:
            said += f", {event.errors} errors"
        if event.applied_revision:
            said += f"; {event.applied_revision} stays in force"
        return logging.WARNING, said, fields
    counts = [f"{getattr(event, name)} {name}" for name in ("created", "updated", "deleted") if getattr(event, name)]
    counts.append(f"{event.unchanged} unchanged")
    if event.conflicts:
        counts.append(f"{event.conflicts} in conflict with another manager")
    said = f"source {event.source} {event.revision}: {', '.join(counts)}  {event.seconds:.2f} s"
    return logging.INFO, said, fields


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def plain(text: str) -> str:
    """Control characters made visible, further lines indented: a commit message can neither forge a line nor repaint
    the terminal, nor turn the direction of writing around."""
    visible = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return visible.replace("\n", "\n    ")
