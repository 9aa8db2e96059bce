"""Reads what `syncd get` and `submit --watch` print: the facts, and the tree as rows. For the tests of the tutorials."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BRANCHES = "─├└┬│ "


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was printed. facts: `Status` → `Succeeded`; rows: `step · template · message` of each node, with its
    branches; the run's own name is written NAME."""

    name: str
    facts: dict[str, str]
    rows: tuple[str, ...]

    @property
    def steps(self) -> list[str]:
        """The rows without branches, sorted: nodes of a DAG are drawn in the order in which they began."""
        return sorted(row.lstrip(_BRANCHES) for row in self.rows)


def read(printed: str) -> Run:
    """The last run that `printed` shows."""
    block = printed[printed.rindex("Name:  ") :].splitlines()
    facts = {}
    for line in block:
        found = re.match(r"([A-Z][A-Za-z ]+): +(.*)", line)
        if found:
            facts[found[1]] = found[2]
    name = facts["Name"]
    at = next(index for index, line in enumerate(block) if line.startswith("STEP "))
    head = block[at]
    starts = [head.index(word) for word in ("STEP", "TEMPLATE", "PODNAME", "MESSAGE")]
    duration = head.index("DURATION")
    rows = []
    for line in block[at + 1 :]:
        if line.strip():
            assert re.fullmatch(r"(\d+[smhd])*", line[duration : starts[3]].strip()), f"no duration: {line}"
            step, template = line[: starts[1]], line[starts[1] : starts[2]]
            cells = (step.rstrip(), template.strip(), line[starts[3] :].strip())
            rows.append(" · ".join(cell for cell in cells if cell).replace(name, "NAME")[1:])
    return Run(name, facts, tuple(rows))
