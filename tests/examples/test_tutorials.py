"""Each file of examples/ does what its tutorial says: the tree that is printed, and the logs.

Everything goes through the `syncd` command and a daemon in a process of its own, as for a person who reads along.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.examples import drawn
from tests.examples.conftest import EXAMPLES
from tests.support.daemon import Daemon


@dataclass(frozen=True, slots=True)
class Tutorial:
    """One file. tree: rows as `drawn.Run.rows`; logs: step → its lines; dag: rows may come in another order."""

    file: str
    tree: str
    logs: dict[str, list[str]]
    arguments: tuple[str, ...] = ()
    code: int = 0
    dag: bool = False


CHAIN = ["Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf"]

TUTORIALS = {
    "hello world": Tutorial(
        "hello-world",
        "✔ NAME · hello",
        {"": ["hello world"]},
    ),
    "steps, sequential and parallel": Tutorial(
        "steps",
        """
        ✔ NAME · hello-hello-hello
        ├───✔ hello1 · print-message
        └─┬─✔ hello2a · print-message
          └─✔ hello2b · print-message
        """,
        {"hello1": ["hello1"], "hello2a": ["hello2a"], "hello2b": ["hello2b"]},
    ),
    "the diamond": Tutorial(
        "dag-diamond",
        """
        ✔ NAME · diamond
        ├─✔ A · echo
        ├─✔ B · echo
        ├─✔ C · echo
        └─✔ D · echo
        """,
        {name: [name] for name in "ABCD"},
        dag=True,
    ),
    "a parameter of its own": Tutorial(
        "parameters",
        "✔ NAME · print-message",
        {"": ["hello world"]},
    ),
    "a parameter from the command line": Tutorial(
        "parameters",
        "✔ NAME · print-message",
        {"": ["goodbye world"]},
        arguments=("-p", "message=goodbye world"),
    ),
    "an output parameter": Tutorial(
        "output-parameter",
        """
        ✔ NAME · generate-and-consume
        ├───✔ generate · hello-world-to-file
        └───✔ consume · print-message
        """,
        {"generate": [], "consume": ["hello world"]},
    ),
    "artifact passing": Tutorial(
        "artifact-passing",
        """
        ✔ NAME · artifact-example
        ├───✔ generate-artifact · hello-world-to-file
        └───✔ consume-artifact · print-message-from-file
        """,
        {"generate-artifact": ["hello world"], "consume-artifact": ["hello world"]},
    ),
    "the teardrop": Tutorial(
        "teardrop",
        """
        ✔ NAME · teardrop
        ├─✔ create-chain · create-chain
        ├─✔ Alpha · whalesay
        ├─✔ Bravo · whalesay
        ├─✔ Charlie · whalesay
        ├─✔ Delta · whalesay
        ├─✔ Echo · whalesay-reduce
        ├─✔ Foxtrot · whalesay
        ├─✔ Golf · whalesay-reduce
        └─✔ Hotel · whalesay
        """,
        {
            "create-chain": [],
            "Alpha": ["Chain so far:"],
            "Bravo": ["Chain so far:", "Alpha"],
            "Echo": ["Chain so far:", "Alpha", "Bravo", "Charlie"],
            "Hotel": ["Chain so far:", *CHAIN],  # its ancestors: sorted, and once each
        },
        dag=True,
    ),
    "a loop": Tutorial(
        "loops",
        """
        ✔ NAME · loop-example
        ├─┬─✔ count(0:1) · greet
        │ ├─✔ count(1:2) · greet
        │ ├─✔ count(2:3) · greet
        │ ├─✔ greet(0:greeting:hello,name:world) · greet
        │ └─✔ greet(1:greeting:goodnight,name:moon) · greet
        └───✔ sum-up · print
        """,
        {"count(2:3)": ["number 3"], "sum-up": ['["hello world","goodnight moon"]']},
    ),
    "a conditional that holds": Tutorial(
        "conditionals",
        """
        ✔ NAME · conditional-example
        └─┬─○ print-goodbye · goodbye · when 'true != true' evaluated false
          └─✔ print-hello · hello
        """,
        {"": ["hello"]},
    ),
    "a conditional that does not": Tutorial(
        "conditionals",
        """
        ✔ NAME · conditional-example
        └─┬─✔ print-goodbye · goodbye
          └─○ print-hello · hello · when 'false == true' evaluated false
        """,
        {"": ["goodbye"]},
        arguments=("-p", "should-print=false"),
    ),
    "a retry that succeeds on the third attempt": Tutorial(
        "retry",
        """
        ✔ NAME · retry-backoff
        ├─✖ NAME(0) · retry-backoff · main: Error (exit code 1)
        ├─✖ NAME(1) · retry-backoff · main: Error (exit code 1)
        └─✔ NAME(2) · retry-backoff
        """,
        {"": ["attempt 0", "attempt 1", "attempt 2"]},
    ),
    "an exit handler after a failure": Tutorial(
        "exit-handler",
        """
        ✖ NAME · intentional-fail · main: Error (exit code 1)
        ✔ NAME.onExit · exit-handler
        └─┬─○ celebrate · celebrate · when 'Failed == Succeeded' evaluated false
          ├─✔ cry · cry
          └─✔ notify · send-email
        """,
        {"notify": ["send e-mail: NAME Failed"], "cry": ["boohoo!"]},
        code=1,
    ),
}


@pytest.mark.sandbox
@pytest.mark.parametrize("tutorial", TUTORIALS.values(), ids=TUTORIALS)
def test_it_does_what_it_says(tutorial: Tutorial, daemon: Daemon) -> None:
    file = str(EXAMPLES / f"{tutorial.file}.yaml")
    run = drawn.read(daemon.syncd("submit", "--watch", file, *tutorial.arguments, code=tutorial.code))
    expected = [line.removeprefix(" " * 8) for line in tutorial.tree.splitlines() if line.strip()]
    if tutorial.dag:
        assert sorted(line.lstrip("├└─ ") for line in expected) == run.steps
    else:
        assert expected == list(run.rows)
    assert ("Failed" if tutorial.code else "Succeeded") == run.facts["Status"]
    printed = daemon.syncd("logs", run.name).splitlines()
    for step, lines in tutorial.logs.items():
        pods = pods_of(daemon, run.name, step)
        found = [content for pod, _, content in (line.partition(": ") for line in printed) if pod in pods]
        assert [line.replace("NAME", run.name) for line in lines] == found, step


def pods_of(daemon: Daemon, run: str, step: str) -> set[str]:
    """The pods of a step by its display name, of all steps for "": as the log prefixes its lines."""
    body = daemon.call("GET", f"/api/v1/workflows/default/{run}")
    nodes = [node for node in body["status"]["nodes"].values() if node["type"] == "Pod"]
    found = {pod_of(run, node) for node in nodes if step in ("", node["displayName"])}
    assert found, f"{step!r} is none of {[node['displayName'] for node in nodes]}"
    return found


def pod_of(run: str, node: dict[str, str]) -> str:
    """Argo's name of a node's pod: run, template and the number that ends the node's id; the run alone for its root."""
    return run if node["name"] == run else f"{run}-{node['templateName']}-{node['id'].rpartition('-')[2]}"


def test_every_example_is_run_here() -> None:
    """A file that is added to examples/ is a tutorial, too."""
    elsewhere = {"nightly-report", "suspend", "syncd", "whalesay-job"}  # test_in_force.py, tests/docs
    assert {tutorial.file for tutorial in TUTORIALS.values()} | elsewhere == {
        path.stem for path in EXAMPLES.glob("*.yaml")
    }
