"""Draws docs/picture.svg: a terminal at work, from a real run. `python -m docs.picture`, from the root of the project.

In: nothing; it makes a repository with a copy of examples/, starts the daemon over it, and types what the picture shows.
Out: an SVG of plain text, on a background of its own, so that it is legible on a light page and on a dark one.
What is shown is what was printed, wrapped as a terminal wraps. Left out are the line with the login link, and of the
watched run what comes before its tree; the temporary home is written `~`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tests.support import daemon as daemons
from tests.support.gitserver import Repository

HERE: Final = Path(__file__).resolve().parent
EXAMPLES: Final = HERE.parent / "examples"

COLUMNS: Final = 112
WIDTH: Final = 7.83  # of a character at 13 px, in every monospaced font that browsers choose
HEIGHT: Final = 18
MARGIN: Final = 18

COLOURS: Final = {
    "": "#d7dde5",
    "prompt": "#8ab4f8",
    "good": "#7ee787",
    "bad": "#ff7b72",
    "quiet": "#8b949e",
}


def session() -> list[str]:
    """What a person types and reads, a line each; those typed begin with `$ `."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        repository = Repository(home / "syncd")
        repository.write({f"examples/{path.name}": path.read_text() for path in EXAMPLES.iterdir()})
        repository.git("add", ".")
        repository.git("commit", "--quiet", "-m", "examples")
        state = home / ".local" / "state" / "syncd"
        lines: list[str] = []

        def typed(command: str, code: int = 0) -> str:
            printed = daemon.syncd(*command.split()[1:], code=code).rstrip("\n")
            lines.extend(["", f"$ {command}"])
            return printed

        with daemons.running(state, repository.path, "--path", "examples", ready=("source ", "created")) as daemon:
            lines += ["$ syncd up . --path examples", *(line for line in daemon.printed if "/login" not in line)]
            run = repository.path / "examples" / "teardrop.yaml"
            printed = typed(f"syncd submit --watch {run}")
            lines += printed[printed.index("STEP ") :].splitlines()
            lines += typed("syncd logs @latest Hotel --no-prefix --tail 3").splitlines()
            lines += typed("syncd cron explain nightly-report").splitlines()
            broken = (
                (EXAMPLES / "steps.yaml").read_text().replace("template: print-message", "template: print-massage", 1)
            )
            repository.write({"examples/steps.yaml": broken})
            repository.git("commit", "--quiet", "-am", "a slip")
            lines += ["", '$ git commit --quiet -am "a slip"', daemon.until("source ", "held")]
            lines += typed(f"syncd lint {repository.path}/examples", code=1).splitlines()
        places = ((f"{repository.path}/", ""), (str(home), "~"))
        for real, shown in places:
            lines = [line.replace(real, shown) for line in lines]
        return [part for line in lines for part in wrapped(line)]


def wrapped(line: str) -> list[str]:
    """A line as a terminal of `COLUMNS` shows it."""
    return [line[start : start + COLUMNS] for start in range(0, max(1, len(line)), COLUMNS)]


def colour(line: str) -> str:
    """The colour of a whole line, by what it is."""
    if line.startswith("$ "):
        return "prompt"
    if line.startswith("STEP "):
        return "quiet"
    return "bad" if re.search(r"✖|: error V|  held: ", line) else ""


def drawn(lines: list[str]) -> str:
    """The SVG."""
    width = round(COLUMNS * WIDTH + 2 * MARGIN)
    height = len(lines) * HEIGHT + 2 * MARGIN + 14
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-label="syncd at work in a terminal">'
        ),
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#10151c" stroke="#57606a"/>',
        *(f'<circle cx="{MARGIN + 16 * i}" cy="16" r="5" fill="#57606a"/>' for i in range(3)),
        (
            '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" '
            'xml:space="preserve" style="white-space: pre">'
        ),
    ]
    for number, line in enumerate(lines):
        y = MARGIN + 14 + (number + 1) * HEIGHT
        text = escape(line).replace("✔", f'<tspan fill="{COLOURS["good"]}">✔</tspan>')
        if line:
            length = f' textLength="{len(line) * WIDTH:.0f}" lengthAdjust="spacingAndGlyphs"' if len(line) > 1 else ""
            parts.append(f'<text x="{MARGIN}" y="{y}" fill="{COLOURS[colour(line)]}"{length}>{text}</text>')
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def main() -> int:
    """The command."""
    (HERE / "picture.svg").write_text(drawn(session()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
