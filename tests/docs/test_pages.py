"""The pages as pages: links lead somewhere, generated pages say so and are found stale, commands that are named exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from syncd.cli import main as cli
from syncd.config import load

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    """`syncd …` in prose and consoles: the command, and its options."""
    text = page.read_text()
    named = re.findall(r"`(syncd [^`\n]+)`", text)
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        named += re.findall(r"^\$ (.*)", block, re.MULTILINE)
        named += re.findall(r"\$\((syncd [^)]*)\)", block)
    for line in named:
        for words in called(line):
            name, rest = cli.find(words)
            options = set(cli.build(name)._option_string_actions) if name else {"--help"}
            given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
            assert given <= options, line


def called(line: str) -> list[list[str]]:
    """The words of each call of syncd in a line of shell."""
    if "<<" in line or line.count("'") % 2 or not re.search(r"\bsyncd [a-z]", line):
        return []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word[0] in "|&;()<>":
            found.append([])
        else:
            found[-1].append(word)
    commands = [words[1:] for words in found if words and words[0] == "syncd"]
    return [[word for word in words if word != "…"] for words in commands if words and words[0] not in ("COMMAND", "…")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_configuration_that_is_shown_is_read(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        if not block.lstrip().startswith("- alert"):
            load.load(block, {}, file=page.name)


def test_the_example_configuration_is_read() -> None:
    text = (ROOT / "examples" / "syncd.yaml").read_text()
    assert [source.name for source in load.load(text, {}).sources] == ["examples"]


def test_a_stale_page_is_named(generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([str(tmp_path)]) == 0
    assert generate.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "config.md").write_text("by hand")
    (tmp_path / "rules.md").unlink()
    assert generate.main(["--check", str(tmp_path)]) == 1
    assert re.findall(r"docs/(\S+) is stale", capsys.readouterr().err) == ["config.md", "rules.md"]


def test_generated_pages_say_so(generate: ModuleType) -> None:
    """The banner of each page, and a page for every table."""
    assert set(generate.PAGES) == {"cli.md", "config.md", "metrics.md", "rules.md", "variables.md"}
    for name in generate.PAGES:
        assert (ROOT / "docs" / name).read_text().startswith(generate.BANNER), name


def test_a_wrong_call_is_told(generate: ModuleType) -> None:
    assert generate.main(["--chek"]) == 2


def test_every_scope_of_a_variable_is_explained(generate: ModuleType) -> None:
    assert set(generate.SCOPES) == set(generate.variables.SCOPES)


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(docs/([^)#]+)\)", (ROOT / "README.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} == {name for name in linked if name.endswith(".md")}


def test_the_picture_is_an_svg_of_text() -> None:
    """Legible on any page: a background of its own, and no script, style sheet or font from elsewhere."""
    tree = ElementTree.parse(ROOT / "docs" / "picture.svg")
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert tags == {"svg", "rect", "circle", "g", "text", "tspan"}
    assert "Hotel" in "".join(tree.getroot().itertext())
