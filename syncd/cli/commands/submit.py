"""`syncd submit`: files or something in force become runs; followed, if asked, to their verdict."""

from __future__ import annotations

import contextlib
import os
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from typing import Any

from syncd.argo.manifest import Body
from syncd.base.errors import ConfigError, Invalid, SyncdError, Unreachable
from syncd.cli import again, arguments, clusters, following, output, reach, submission, workflows
from syncd.cli.client import Client
from syncd.cli.exits import Exit
from syncd.cli.output import Terminal

ABOUT = """Submit workflows from files, or from something that is in force. With --watch, --wait or --log the exit code is
the verdict: 0 succeeded, 1 failed. Without a daemon these three run the workflow in this process."""
EXAMPLES = """
syncd submit hello.yaml
syncd submit --watch hello.yaml -p message=hello
syncd submit --log hello.yaml
syncd submit --wait -o json hello.yaml
syncd submit --from workflowtemplate/build -p branch=main
syncd submit --from cronworkflow/nightly --watch
cat hello.yaml | syncd submit -
syncd submit --context prod -n data --from cronworkflow/nightly --watch
"""


def add(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="*", metavar="FILE", help="YAML or JSON with Workflows or Jobs; - = stdin")
    parser.add_argument(
        "--from", dest="source", default="", metavar="KIND/NAME", help="what to submit instead of a file"
    )
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    parser.add_argument("-f", "--parameter-file", default="", metavar="FILE", help="parameters as YAML or JSON")
    parser.add_argument("--name", default="", help="the name of the workflow")
    parser.add_argument("--generate-name", default="", metavar="PREFIX", help="what its generated name begins with")
    parser.add_argument("--entrypoint", default="", metavar="TEMPLATE", help="the template to begin with")
    parser.add_argument("-l", "--labels", default="", metavar="A=B,…", help="labels for the workflow")
    parser.add_argument("--annotations", default="", metavar="A=B,…", help="annotations for the workflow")
    parser.add_argument("--serviceaccount", default="", metavar="NAME", help="its service account")
    parser.add_argument("--priority", type=int, default=None, metavar="N", help="its priority")
    parser.add_argument("--scheduled-time", default="", metavar="TIME", help="its scheduled time, RFC 3339")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent")
    parser.add_argument("--server-dry-run", action="store_true", help="print what would be created")
    parser.add_argument("--strict", action=BooleanOptionalAction, default=True, help="as argo's; it is always strict")
    parser.add_argument(
        "--config",
        default="",
        metavar="FILE",
        help="without a daemon, or for a cluster: the configuration ($SYNCD_CONFIG)",
    )
    arguments.add_following(parser)
    arguments.add_node_filters(parser)
    arguments.add_output(parser)


def run(args: Namespace) -> int:
    """Run it."""
    _check(args)
    terminal, errors = output.standard(args)
    given = submission.options(args)
    where = reach.namespace(args)
    manifests = submission.read(args.file, where, bool(args.namespace), errors)
    if args.watch and len(manifests) > 1:
        raise ConfigError("--watch shows one workflow; use --wait for several")
    bodies = [submission.workflow(manifest, given) for manifest in manifests]
    if args.dry_run:
        for body in bodies:
            workflows.show(body, terminal, args.output)
        return Exit.GOOD
    follows = args.wait or args.watch or args.log
    with _client(args, follows) as client:
        made: list[Body] = []
        if args.source:
            made.append(_submit_from(client, where, args, given))
        for manifest, body in zip(manifests, bodies, strict=True):
            try:
                made.append(_submit(client, body, args))
            except Invalid as refusal:
                raise submission.placed(refusal, manifest) from None
        if args.server_dry_run or (not (args.output in ("json", "yaml") and follows) and not args.watch):
            for body in made:
                workflows.show(body, terminal, args.output)
        if not follows or args.server_dry_run:
            return Exit.GOOD
        try:
            good = following.follow(client, made, args, terminal, errors)
        except KeyboardInterrupt:
            if client.offline:
                _end(client, made, errors)
            raise
    return Exit.GOOD if good else Exit.NO


def _check(args: Namespace) -> None:
    if bool(args.file) == bool(args.source):
        raise ConfigError(
            "--from and files exclude each other; give one of them"
            if args.source
            else "nothing to submit; name a file, - for stdin, or --from KIND/NAME"
        )
    follows = [f"--{name}" for name in ("watch", "wait") if getattr(args, name)]
    if len(follows) == 2:
        raise ConfigError("--wait and --watch exclude each other; give one of them")
    for name in ("dry_run", "server_dry_run"):
        said = "--" + name.replace("_", "-")
        if getattr(args, name) and (follows or args.log):
            raise ConfigError(
                f"{said} runs nothing, so there is nothing to follow; leave {(follows or ['--log'])[0]} out"
            )
        if getattr(args, name) and not args.output:
            args.output = "yaml"
    if args.dry_run and args.source:
        raise ConfigError("--dry-run knows only files; use --server-dry-run with --from")
    again.check_parameters(args.parameter)


def _client(args: Namespace, follows: bool) -> contextlib.AbstractContextManager[Client]:
    if follows and clusters.chosen(args) is None:
        configuration, _ = reach.configuration(args.config, os.environ)
        return reach.acting(args, configuration)
    if args.server_dry_run:
        return reach.reading(args)
    if reach.daemon(args) is None and clusters.chosen(args) is None:
        raise Unreachable(
            "no daemon is running; start one with `syncd up`, or add --watch, --wait or --log to run it in this process"
        )
    return reach.writing(args)


def _submit(client: Client, body: Body, args: Namespace) -> Body:
    namespace = body["metadata"]["namespace"]
    sent = {"namespace": namespace, "serverDryRun": args.server_dry_run, "workflow": body}
    created: Body = client.call("POST", workflows.path(namespace), sent=sent)
    return created


def _submit_from(client: Client, namespace: str, args: Namespace, given: dict[str, Any]) -> Body:
    kind, sign, name = args.source.partition("/")
    if not sign or not kind or not name:
        raise ConfigError(f"--from {args.source[:60]!r} is not KIND/NAME; write workflowtemplate/build")
    options = {**given, "serverDryRun": args.server_dry_run} if args.server_dry_run else given
    sent = {"namespace": namespace, "resourceKind": kind, "resourceName": name, "submitOptions": options}
    created: Body = client.call("POST", workflows.path(namespace, "submit"), sent=sent)
    return created


def _end(client: Client, made: list[Body], errors: Terminal) -> None:
    """Nobody else would go on with what runs in this process: end it before leaving."""
    for body in made:
        namespace, name = str(body["metadata"]["namespace"]), str(body["metadata"]["name"])
        errors.say(f"syncd: interrupted: ending {name}; Ctrl-C once more leaves it to the next daemon")
        with contextlib.suppress(SyncdError):
            client.call("PUT", workflows.path(namespace, name, "terminate"), sent={})
            following.wait(client, namespace, name)
