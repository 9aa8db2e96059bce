"""`syncd up`: a daemon for sources written on the command line."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.base.errors import ConfigError, Unsupported
from syncd.cli import clusters, reach

if TYPE_CHECKING:
    from syncd.config.model import Config, Source

ABOUT = """Keep git repositories and directories in force: fetch them, check them, apply them, and run what is scheduled,
until Ctrl-C. A source is written PATH-OR-URL#REF:FOLDER; a path in a git work tree serves its commits, unless --worktree.
Without a source it runs what is in force already, and what is submitted."""
EXAMPLES = """
syncd up .
syncd up https://github.com/team/jobs.git#main:ci
syncd up . --path workflows --worktree
syncd up git@example.org:team/jobs.git --ref v1.4 --interval 1m
syncd up . --listen 127.0.0.1:0 --state ./state --runtime sandbox
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("source", nargs="*", metavar="SOURCE", help="PATH-OR-URL#REF:FOLDER")
    parser.add_argument("--ref", default="", help="branch, tag or commit of the sources")
    parser.add_argument("--path", default="", metavar="FOLDER", help="folder of the sources with the manifests")
    parser.add_argument("--worktree", action="store_true", help="serve the files as they are, committed or not")
    parser.add_argument("--interval", default="", metavar="SPAN", help="how often a remote is asked (30s)")
    parser.add_argument("--source-name", default="", metavar="NAME", help="what the one source is called")
    parser.add_argument(
        "-c", "--config", default="", metavar="FILE", help="a configuration for the rest ($SYNCD_CONFIG)"
    )
    parser.add_argument("--listen", default="", metavar="HOST:PORT", help="where the API is served (127.0.0.1:2746)")
    parser.add_argument("--runtime", default="", choices=("auto", "sandbox", "container"), help="what runs a step")


def run(args: Namespace) -> int:
    """Run it."""
    if clusters.flagged(args):
        raise Unsupported(
            "`up` runs a daemon and its workflows on this machine; in a cluster syncd is installed by its chart: "
            "`helm install syncd charts/syncd -n syncd --create-namespace`, and `syncd plan SOURCE --context …` shows what it would do"
        )
    config, file = configured(args)
    from syncd import app

    def reread() -> Config:
        return configured(args)[0]

    return app.serve(config, words=True, reread=reread if file else None, config_file=file)


def configured(args: Namespace) -> tuple[Config, Path | None]:
    """The configuration that the command line means, with the file it builds on. Raises ConfigError."""
    from syncd.config import load

    base, file = reach.configuration(args.config, os.environ)
    if args.source_name and len(args.source) != 1:
        raise ConfigError("--source-name names one source; name several in a configuration file")
    given: dict[str, Any] = {"listen": {"tokensFile": base.listen.tokens_file}}
    given["sources"] = [_written(source, args) for source in _sources(args)]
    if args.listen:
        given["listen"] |= _listen(args.listen)
    if args.runtime:
        given["runtime"] = args.runtime
    said = load.load(json.dumps(given), {}, file="command line")
    names = [source.name for source in (*base.sources, *said.sources)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two sources are called {name!r}; name one with --source-name, or in a configuration file"
            )
    return (
        replace(
            base,
            sources=(*base.sources, *said.sources),
            state=str(reach.state_directory(args.state, {})) if args.state else base.state,
            listen=replace(base.listen, host=said.listen.host, port=said.listen.port) if args.listen else base.listen,
            runtime=said.runtime if args.runtime else base.runtime,
        ),
        file,
    )


def _sources(args: Namespace) -> list[Source]:
    from syncd.source import written

    return [
        written.parse(
            text,
            directory=str(Path.cwd()),
            is_path=lambda name: Path(name).expanduser().exists(),
            name=args.source_name,
            ref=args.ref,
            folder=args.path,
            worktree=args.worktree,
        )
        for text in (str(Path(t).expanduser()) if t.startswith("~") else t for t in args.source)
    ]


def _written(source: Source, args: Namespace) -> dict[str, Any]:
    """A source as a configuration file writes it, so that it is checked as there."""
    if source.path and not Path(source.path).exists():
        raise ConfigError(f"there is no {source.path}; a source is a path, or a URL of a git repository")
    found: dict[str, Any] = {"name": source.name, "url": source.url, "path": source.path, "folder": source.folder}
    found = {name: value for name, value in found.items() if value}
    if source.ref.text:
        found["ref"] = {"text": source.ref.text}
    if source.worktree:
        found["worktree"] = True
    if args.interval:
        found["interval"] = args.interval
    if args.namespace:
        found["namespace"] = args.namespace
    return found


def _listen(text: str) -> dict[str, Any]:
    host, sign, port = text.rpartition(":")
    if not sign or not port.isdigit():
        raise ConfigError(f"--listen {text[:60]!r} is not HOST:PORT; write 127.0.0.1:2746, or :0 for any free port")
    return {"host": host.strip("[]") or "127.0.0.1", "port": int(port)}
