"""The text of a configuration file and the environment in, a `Config` out; or all of its faults at once.

Called by `app` and the command line, which read the file; nothing here touches a disk.
Every knob that is a single value outside `sources` can be set in the environment, over the file:
`SYNCD_LISTEN_PORT=8080` is `listen.port`.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import posixpath
import re
import types
import typing
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from syncd.base import units, yamltext
from syncd.base.errors import ConfigError
from syncd.config import fieldpath, model, urls
from syncd.config.model import Config, Source, camel

Path = tuple[str | int, ...]


def load(text: str | bytes, env: Mapping[str, str], *, file: str = "syncd.yaml", cores: int = 1) -> Config:
    """Read a configuration. cores: of the machine, for the default of `parallelism`; file: its name, for messages.

    Raises ConfigError with a line for each fault, `file:line:column: knob: what; what to do`.

    >>> load("listen: {port: 8080}", {}).listen.port
    8080
    """
    reading = _Reading(file)
    value: Any = {}
    for number, found in enumerate(yamltext.documents(text)):
        if isinstance(found, yamltext.Fault):
            reading.faults.append((found.line, found.column, found.message, found.remedy))
        elif number:
            reading.faults.append((found.line, 1, "a second document", "put everything into one"))
        else:
            value = found.value
            reading.marks = found.marks
            reading.faults += [(f.line, f.column, f.message, f.remedy) for f in found.faults]
    config: Config = reading.build(Config, _with_environment(value, env, reading), ())
    config = reading.checked(config)
    if reading.faults:
        raise ConfigError("\n".join(reading.lines()))
    if not config.state:
        home = env.get("XDG_STATE_HOME") or posixpath.join(env.get("HOME") or "/var/lib", ".local/state")
        config = dataclasses.replace(config, state=posixpath.join(home, "syncd"))
    return dataclasses.replace(config, parallelism=config.parallelism or 2 * max(cores, 1))


def _with_environment(value: Any, env: Mapping[str, str], reading: _Reading) -> Any:
    """The file's value with SYNCD_* put over it."""
    if not isinstance(value, dict):
        return value
    for path, kind in _scalars(Config, ()):
        name = "SYNCD_" + "_".join(path).upper()
        if name not in env:
            continue
        written: Any = env[name]
        if kind in (int, float, bool):
            found = next(yamltext.documents(written), None)
            written = found.value if isinstance(found, yamltext.Document) else written
        keys = [camel(step) for step in path]
        inner = value = dict(value)
        for key in keys[:-1]:
            inner[key] = dict(inner[key]) if isinstance(inner.get(key), dict) else {}
            inner = inner[key]
        inner[keys[-1]] = written
        reading.from_environment[tuple(keys)] = name
    return value


def _scalars(cls: type, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    out: list[tuple[tuple[str, ...], Any]] = []
    for name, kind in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            out += _scalars(kind, (*path, name))
        elif isinstance(kind, type):
            out.append(((*path, name), kind))
    return out


class _Reading:
    """One call of `load`: faults so far, and where things stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.marks: Mapping[Path, tuple[int, int]] = {}
        self.faults: list[tuple[int, int, str, str]] = []
        self.from_environment: dict[Path, str] = {}

    def lines(self) -> list[str]:
        """The faults as text, in order of the file."""
        out = []
        for line, column, message, remedy in sorted(self.faults, key=lambda f: f[:2]):
            place = f"{self.file}:{line}:{column}" if line else self.file
            out.append(f"{place}: {message}" + (f"; {remedy}" if remedy else ""))
        return out

    def fault(self, path: Path, message: str, remedy: str = "") -> None:
        """Note a fault at `path`, or at the nearest place above it."""
        name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        if variable := self.from_environment.get(path):
            name = variable
        line, column = 0, 0
        for end in range(len(path), 0, -1):
            if (mark := self.marks.get(path[:end])) is not None:
                line, column = mark
                break
        self.faults.append((line, column, f"{name}: {message}" if name else message, remedy))

    def build(self, cls: Any, value: Any, path: Path) -> Any:
        """An instance of the dataclass `cls` from a mapping; faults fall back to the defaults."""
        if value is None:
            value = {}
        if cls is model.Ref and isinstance(value, str):
            return model.Ref(text=value)
        if not isinstance(value, dict):
            self.fault(path, f"{_said(value)} where a mapping is needed")
            return cls()
        hints = typing.get_type_hints(cls)
        known = {camel(f.name): f for f in dataclasses.fields(cls)}
        given: dict[str, Any] = {}
        for key, inner in value.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                remedy = f"did you mean {near[0]}" if near else f"known: {', '.join(sorted(known))}"
                self.fault((*path, key), "no such knob", remedy)
                continue
            one = known[key]
            read = self._read(hints[one.name], inner, (*path, key), one.metadata.get("size", False))
            if read is not _NONE:
                given[one.name] = read
        return cls(**given)

    def _read(self, kind: Any, value: Any, path: Path, size: bool) -> Any:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if dataclasses.is_dataclass(kind):
            return self.build(kind, value, path)
        if value is None:
            return _NONE
        if origin is tuple:
            if isinstance(value, str) and arguments[0] is str:
                value = [value]
            if not isinstance(value, list):
                return self._wrong(path, value, "a list")
            read = [self._read(arguments[0], inner, (*path, index), False) for index, inner in enumerate(value)]
            return tuple(inner for inner in read if inner is not _NONE)
        if origin is not None and issubclass(origin, Mapping):
            if not isinstance(value, dict):
                return self._wrong(path, value, "a mapping")
            if arguments[1] is Any:
                return value
            entries = {key: self._read(arguments[1], inner, (*path, key), False) for key, inner in value.items()}
            return types.MappingProxyType({k: v for k, v in entries.items() if v is not _NONE})
        return self._single(kind, value, path, size)

    def _single(self, kind: Any, value: Any, path: Path, size: bool) -> Any:
        if size:
            return self._size(value, path)
        if kind is timedelta:
            return self._duration(value, path)
        if issubclass(kind, StrEnum):
            if isinstance(value, str) and value in set(kind):
                return kind(value)
            self.fault(path, f"{_said(value)} is none of its values", f"known: {', '.join(kind)}")
            return _NONE
        if kind is str:
            if isinstance(value, str):
                if "\0" in value or "\n" in value:
                    self.fault(path, "holds a line break or a zero byte")
                    return _NONE
                return value
            return self._wrong(path, value, "text (quote it)")
        if kind is bool:
            return value if isinstance(value, bool) else self._wrong(path, value, "true or false")
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or (kind is int and not isinstance(value, int))
        ):
            return self._wrong(path, value, "a whole number" if kind is int else "a number")
        if value < 0:
            self.fault(path, "is negative")
            return _NONE
        return kind(value)

    def _wrong(self, path: Path, value: Any, wanted: str) -> Any:
        self.fault(path, f"{_said(value)} where {wanted} is needed")
        return _NONE

    def _duration(self, value: Any, path: Path) -> Any:
        try:
            if not isinstance(value, str):
                raise ValueError
            days = _DAYS.match(value)
            read = timedelta(days=float(days[1])) if days else units.parse_duration(value)
            if not timedelta(0) <= read <= timedelta(days=36_500):
                raise ValueError
        except (ValueError, OverflowError):
            self.fault(path, f"{_said(value)} is not a duration", "write it as 30s, 5m, 1h30m or 7d")
            return _NONE
        return read

    def _size(self, value: Any, path: Path) -> Any:
        try:
            if isinstance(value, (bool, dict, list)):
                raise ValueError
            read = int(units.parse_quantity(str(value)))
            if not 0 <= read < 2**62:
                raise ValueError
        except (ValueError, ArithmeticError):
            self.fault(path, f"{_said(value)} is not a size", "write it as 3Mi, 1Gi or a number of bytes")
            return _NONE
        return read

    def checked(self, config: Config) -> Config:
        """What no single knob can tell: sources complete and apart, an open port guarded."""
        sources = tuple(self._source(source, ("sources", index)) for index, source in enumerate(config.sources))
        names: dict[str, int] = {}
        for index, source in enumerate(sources):
            if source.name in names:
                at: Path = ("sources", index, "name")
                self.fault(at, f'a second source called "{source.name}"', "give each a name of its own")
            names.setdefault(source.name, index)
        if config.listen.port > 65535:
            self.fault(("listen", "port"), "is no port", "0 to 65535")
        if not _loopback(config.listen.host) and not config.listen.tokens_file:
            remedy = "name a file of tokens as listen.tokensFile, or listen on 127.0.0.1"
            self.fault(("listen", "host"), "listening beyond loopback needs tokens", remedy)
        if config.mode is model.Mode.KUBERNETES:
            self._cluster(config)
        return dataclasses.replace(config, sources=sources)

    def _cluster(self, config: Config) -> None:
        """What must hold so that one replica acts at a time, and a slot outlives the death of its leader."""
        cluster, lease = config.kubernetes, config.kubernetes.lease
        if not timedelta(seconds=0.1) <= lease.retry < lease.renew_deadline < lease.duration:
            remedy = "retry (0.1s at least) < renewDeadline < duration, as 2s < 10s < 15s"
            self.fault(("kubernetes", "lease"), "a lease could be lost before it is renewed", remedy)
        if config.schedule.grace < lease.duration + _TAKEOVER:
            remedy = f"make it {int((lease.duration + _TAKEOVER).total_seconds())}s or more, or shorten the lease"
            self.fault(
                ("schedule", "grace"), "is shorter than a takeover: slots of a dead leader would be lost", remedy
            )
        if cluster.requests_in_flight < 1:
            self.fault(("kubernetes", "requestsInFlight"), "must be 1 or more")
        for index, name in enumerate(cluster.namespaces):
            if not _NAME.match(name):
                self.fault(("kubernetes", "namespaces", index), "not the name of a namespace")

    def _source(self, source: Source, path: Path) -> Source:
        if bool(source.url) == bool(source.path):
            self.fault(path, "url and path" if source.url else "neither url nor path", "give one of them")
        url = source.url
        if url:
            try:
                url = urls.normalise(url, allow_file=True, allow_http=source.allow_http)
            except ValueError as wrong:
                self.fault((*path, "url"), str(wrong))
        name = source.name or urls.name_of(source.url or source.path)
        if not _NAME.match(name):
            remedy = "lower-case letters, digits, - and . up to 63, first and last a letter or digit"
            self.fault((*path, "name"), "not a name", remedy)
        refs = [f.name for f in dataclasses.fields(source.ref) if getattr(source.ref, f.name)]
        if len(refs) > 1:
            self.fault((*path, "ref"), f"several at once: {', '.join(refs)}", "give one of them")
        if source.ref.commit and not _COMMIT.match(source.ref.commit):
            self.fault((*path, "ref", "commit"), "not a full commit id", "40 or 64 hex digits")
        folder = posixpath.normpath(source.folder.strip("/")) if source.folder.strip("/") else ""
        if folder in (".",):
            folder = ""
        if folder == ".." or folder.startswith("../"):
            self.fault((*path, "folder"), "leads out of the repository")
        if not 0 < source.prune.max_delete_fraction <= 1:
            self.fault((*path, "prune", "maxDeleteFraction"), "must be above 0 and at most 1", "1 deletes freely")
        for knob in ("interval", "timeout"):
            if getattr(source, knob) < timedelta(seconds=1):
                self.fault((*path, knob), "is under a second")
        if source.worktree and source.url:
            self.fault((*path, "worktree"), "only a local path has files that are not committed", "use path")
        if source.auth.identity_file and not source.auth.known_hosts_file:
            remedy = "ssh-keyscan the host, check the key, and name the file as auth.knownHostsFile"
            self.fault((*path, "auth"), "identityFile without knownHostsFile: the host could be anybody's", remedy)
        if not _NAME.match(source.namespace):
            self.fault((*path, "namespace"), "not the name of a namespace")
        self._ignored(source, path)
        return dataclasses.replace(source, name=name, url=url, folder=folder)

    def _ignored(self, source: Source, path: Path) -> None:
        for kind, fields in source.ignore.items():
            for index, text in enumerate(fields):
                try:
                    fieldpath.parse(text)
                except ValueError as wrong:
                    remedy = 'write it as spec.suspend, spec.templates[0].name or metadata.labels["a.b/c"]'
                    self.fault((*path, "ignore", kind, index), f"{_said(text)}: {wrong}", remedy)


_NONE: Final = object()
_DAYS: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)d\Z")
_TAKEOVER: Final = timedelta(seconds=5)
"""How long a replica takes at most to act once it has the lease."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?\Z")
_COMMIT: Final = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(value: Any) -> str:
    """What was written, for a message; structures by their kind only."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return yamltext.shown(str(value).lower() if isinstance(value, bool) or value is None else str(value))
