"""The tree against pictures of it, and its cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.argo.manifest import Body
from syncd.cli import output, tree
from tests.cli.runs import node, pod, run

NOW = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)

STEPS = run(
    node("Steps", "", templateName="main", children=["[0]"]),
    node("StepGroup", "[0]", shown="[0]", children=["[0].a"]),
    pod("[0].a", at=1, shown="a"),
    node("StepGroup", "[1]", shown="[1]", at=3, children=["[1].c", "[1].b"]),
    pod("[1].c", at=3, shown="c"),
    pod("[1].b", at=3, shown="b", phase="Failed", message="exit code 1"),
    phase="Failed",
)

DAG = run(
    node("DAG", "", templateName="diamond", phase="Running"),
    pod(".A", at=0),
    pod(".B", at=2, phase="Running"),
    pod(".C", at=2, templateRef={"name": "library", "template": "say"}),
    node("Skipped", ".D", phase="Skipped", at=4, message="when 'a == b' evaluated false", templateName="echo"),
    node("Skipped", ".E", phase="Omitted", at=5, message="omitted: depends condition not met"),
    phase="Running",
)

RETRIES = run(
    node("DAG", "", templateName="main"),
    node("Retry", ".once", templateName="flaky", children=[".once(0)"]),
    pod(".once(0)", "flaky", under=""),
    node("Retry", ".twice", templateName="flaky", at=3, children=[".twice(0)", ".twice(1)"]),
    pod(".twice(0)", "flaky", at=3, phase="Failed", message="exit code 1"),
    pod(".twice(1)", "flaky", at=5),
)

FAN_OUT = run(
    node("DAG", "", templateName="main"),
    node("TaskGroup", ".loop", children=[f".loop({i}:x)" for i in range(11)]),
    *(pod(f".loop({i}:x)") for i in reversed(range(11))),
)

EXIT = run(
    pod("", "main", phase="Failed", message="exit code 1"),
    {
        **node("Steps", ".onExit", at=3, templateName="bye", shown="hi.onExit", children=[".onExit[0]"]),
        "boundaryID": "",
    },
    node("StepGroup", ".onExit[0]", under=".onExit", shown="[0]", at=3, children=[".onExit[0].say"]),
    pod(".onExit[0].say", under=".onExit", at=3, shown="say"),
    phase="Failed",
)

SUSPENDED = run(
    node("Steps", "", templateName="main", phase="Running"),
    node("StepGroup", "[0]", shown="[0]", phase="Running", children=["[0].approve"]),
    node("Suspend", "[0].approve", shown="approve", phase="Running", templateName="wait"),
    phase="Running",
)

NESTED = run(
    node("DAG", "", templateName="outer"),
    node("DAG", ".x", templateName="inner"),
    pod(".x.p", under=".x", at=1),
    pod(".x.q", under=".x", at=2),
    pod(".y", at=9),
)

PICTURES: dict[str, tuple[Body, str]] = {
    "steps": (
        STEPS,
        """
STEP        TEMPLATE  PODNAME             DURATION  MESSAGE
 ✔ hi       main
 ├───✔ a    echo      hi-echo-#[0].a      2s
 └─┬─✖ b    echo      hi-echo-#[1].b      2s        exit code 1
   └─✔ c    echo      hi-echo-#[1].c      2s
""",
    ),
    "dag": (
        DAG,
        """
STEP      TEMPLATE     PODNAME        DURATION  MESSAGE
 ● hi     diamond
 ├─✔ A    echo         hi-echo-#.A    2s
 ├─● B    echo         hi-echo-#.B    1m
 ├─✔ C    library/say  hi-say-#.C     2s
 ├─○ D    echo                                  when 'a == b' evaluated false
""",
    ),
    "retries": (
        RETRIES,
        """
STEP              TEMPLATE  PODNAME                 DURATION  MESSAGE
 ✔ hi             main
 ├─✔ once(0)      flaky     hi-flaky-#.once(0)      2s
 └─✔ twice        flaky
   ├─✖ twice(0)   flaky     hi-flaky-#.twice(0)     2s        exit code 1
   └─✔ twice(1)   flaky     hi-flaky-#.twice(1)     2s
""",
    ),
    "fan-out": (
        FAN_OUT,
        "\nSTEP TEMPLATE PODNAME DURATION MESSAGE\n ✔ hi main\n"
        + "".join(f" ├─✔ loop({i}:x) echo hi-echo-#.loop({i}:x) 2s\n" for i in range(10))
        + " └─✔ loop(10:x) echo hi-echo-#.loop(10:x) 2s\n",
    ),
    "exit": (
        EXIT,
        """
STEP             TEMPLATE  PODNAME                    DURATION  MESSAGE
 ✖ hi            main      hi                         2s        exit code 1

 ✔ hi.onExit     bye
 └───✔ say       echo      hi-echo-#.onExit[0].say    2s
""",
    ),
    "suspended": (
        SUSPENDED,
        """
STEP              TEMPLATE  PODNAME  DURATION  MESSAGE
 ● hi             main
 └───ǁ approve    wait
""",
    ),
    "nested": (
        NESTED,
        """
STEP       TEMPLATE  PODNAME          DURATION  MESSAGE
 ✔ hi      outer
 ├─✔ x     inner
 │ ├─✔ p   echo      hi-echo-#.x.p    2s
 │ └─✔ q   echo      hi-echo-#.x.q    2s
 └─✔ y     echo      hi-echo-#.y      2s
""",
    ),
}


def drawn(workflow: Body, **options: Any) -> list[str]:
    return output.table(tree.rows(workflow, NOW, **options), gap=2)


def with_hashes(text: str) -> str:
    """`#name` stands for the hash of the node's name, which nobody can write by hand."""
    from syncd.base.ids import fnv32a

    words = []
    for line in text.splitlines():
        for word in line.split():
            if "#" in word:
                line = line.replace(word, f"{word.partition('#')[0]}{fnv32a('hi' + word.partition('#')[2])}")
        words.append(line)
    return "\n".join(words)


@pytest.mark.parametrize("name", PICTURES)
def test_is_drawn_as_argo_draws_it(name: str) -> None:
    workflow, picture = PICTURES[name]
    shape = [[line[: len(line) - len(line.lstrip())], *line.split()] for line in drawn(workflow)]
    wanted = [[line[: len(line) - len(line.lstrip())], *line.split()] for line in with_hashes(picture).splitlines()[1:]]
    assert wanted == shape


def test_columns_line_up_and_colours_do_not_count() -> None:
    plain = drawn(DAG)
    painted = drawn(DAG, paint=lambda text, *codes: f"\x1b[{codes[0]}m{text}\x1b[0m" if text else "")
    assert [line.index("TEMPLATE") for line in plain[:1]] == [plain[1].index("diamond")]
    assert output.table([]) == []
    assert [output._ESCAPES.sub("", line) for line in painted] == plain


def test_plain_ascii_on_demand() -> None:
    assert [line.split("  ")[0] for line in drawn(SUSPENDED, utf8=False)[1:]] == [" Running hi", " `---Suspend approve"]


def test_nothing_is_drawn_before_there_is_a_root() -> None:
    assert drawn(run()) == []


def test_wide_and_short_have_their_columns() -> None:
    made = run(pod("", outputs={"artifacts": [{"name": "log"}, {"name": "data"}]}, hostNodeName="here"))
    assert drawn(made, form="wide")[1].split() == ["✔", "hi", "echo", "hi", "2s", "log,data", "here"]
    assert drawn(made, form="short")[1].split() == ["✔", "hi", "echo", "hi", "2s", "here"]


def test_only_the_nodes_that_are_wanted() -> None:
    lines = drawn(RETRIES, wanted=lambda node: node["phase"] == "Failed")
    assert len(lines) == 2
    assert "twice(0)" in lines[1]


def test_control_characters_of_a_message_never_reach_the_terminal() -> None:
    made = run(pod("", phase="Failed", message="a\nb\x1b[2Jc"))
    assert drawn(made)[1].endswith("a b\\x1b[2Jc")


def test_a_deep_tree_needs_no_deep_stack() -> None:
    names = ["." + ".".join(["x"] * depth) for depth in range(1, 1500)]
    nodes = [node("DAG", "", templateName="main")]
    for index, name in enumerate(names):
        nodes.append(node("DAG", name, under=names[index - 1] if index else "", templateName="main"))
    assert len(drawn(run(*nodes))) == 1501


def test_every_node_is_looked_at_once() -> None:
    made = run(node("DAG", "", templateName="main"), *(pod(f".loop({i}:x)") for i in range(2_000)))
    seen: list[str] = []
    assert len(drawn(made, wanted=lambda node: not seen.append(node["id"]))) == 2_002
    assert sorted(seen) == sorted(made["status"]["nodes"])
