"""The options that commands share, each defined once. Called by `main` and the commands' `add`."""

from __future__ import annotations

import argparse
from typing import NoReturn

from syncd.base.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a call as every error is said, and where to read on."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see `{self.prog} --help`")


def parser(name: str, about: str, examples: str) -> Parser:
    """The parser of the command `name`, without options yet. examples: lines to show, each beginning with `syncd`."""
    shown = "\n".join(f"  {line}" if line else "" for line in examples.strip("\n").split("\n"))
    return Parser(
        prog=f"syncd {name}",
        description=about,
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_global(made: argparse.ArgumentParser, *, short_namespace: bool = True) -> None:
    """The options that every command takes. short_namespace: `-n` is the namespace."""
    group = made.add_argument_group("options of every command")
    group.add_argument("--state", default="", metavar="DIR", help="the state directory ($SYNCD_STATE)")
    group.add_argument("--server", default="", metavar="URL", help="talk to the syncd at this address ($SYNCD_SERVER)")
    group.add_argument("--token", default="", help="the token for --server; $SYNCD_TOKEN is not seen by other users")
    group.add_argument("--token-file", default="", metavar="FILE", help="file with the token for --server")
    group.add_argument("--context", default="", metavar="NAME", help="the cluster of this context ($SYNCD_CONTEXT)")
    group.add_argument("--kubeconfig", default="", metavar="FILE", help="file with the contexts (else $KUBECONFIG)")
    group.add_argument(
        "--system-namespace",
        default="",
        metavar="NAME",
        help="in a cluster: where syncd is installed, if it is not found ($SYNCD_SYSTEM_NAMESPACE)",
    )
    group.add_argument(
        "--installation", default="", metavar="NAME", help="in a cluster: what its Lease is called (syncd)"
    )
    if "--config" not in made._option_string_actions:
        group.add_argument("--config", default="", metavar="FILE", help="the configuration ($SYNCD_CONFIG)")
    names = ("-n", "--namespace") if short_namespace else ("--namespace",)
    group.add_argument(*names, default="", metavar="NAME", help="the namespace ($SYNCD_NAMESPACE, else the context's)")
    group.add_argument("--no-color", action="store_true", help="no colours (also $NO_COLOR)")
    group.add_argument("--no-utf8", action="store_true", help="plain ASCII in place of icons and branches")


GLOBAL_WITH_VALUE = (
    "--state",
    "--server",
    "--token",
    "--token-file",
    "--context",
    "--kubeconfig",
    "--system-namespace",
    "--installation",
    "--config",
    "--namespace",
    "-n",
)
GLOBAL_FLAGS = ("--no-color", "--no-utf8")


def add_output(made: argparse.ArgumentParser, *forms: str) -> None:
    """`-o`."""
    chosen = forms or ("json", "yaml", "name", "wide")
    made.add_argument("-o", "--output", default="", metavar="FORM", choices=chosen, help=f"one of {', '.join(chosen)}")


def add_all_namespaces(made: argparse.ArgumentParser) -> None:
    """`-A`."""
    made.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")


def add_selectors(made: argparse.ArgumentParser) -> None:
    """`-l` and `--field-selector`."""
    made.add_argument("-l", "--selector", default="", metavar="LABELS", help="only those with these labels: a=b,c!=d")
    made.add_argument(
        "--field-selector", default="", metavar="FIELDS", help="only those with metadata.name or .namespace so"
    )


def add_filters(made: argparse.ArgumentParser) -> None:
    """Which workflows, as `argo list` and `argo delete` say it."""
    add_selectors(made)
    made.add_argument(
        "--status", default="", metavar="PHASES", help="only those with one of these phases, comma-separated"
    )
    made.add_argument("--completed", action="store_true", help="only those that have ended")
    made.add_argument("--resubmitted", action="store_true", help="only those made by resubmit")
    made.add_argument("--prefix", default="", help="only those whose name begins so")
    made.add_argument("--older", default="", metavar="SPAN", help="only those that finished longer ago: 10m, 3h, 1d")


def add_node_filters(made: argparse.ArgumentParser) -> None:
    """Which nodes of a run to show."""
    made.add_argument("--status", default="", metavar="PHASE", help="show only nodes in this phase")
    made.add_argument(
        "--node-field-selector", default="", metavar="FIELDS", help="show only such nodes: displayName=a,phase=Failed"
    )


def add_following(made: argparse.ArgumentParser) -> None:
    """What to do once a run has begun."""
    made.add_argument("-w", "--wait", action="store_true", help="wait until it has ended")
    made.add_argument("--watch", action="store_true", help="show it until it has ended")
    made.add_argument("--log", action="store_true", help="print its logs until it has ended")
