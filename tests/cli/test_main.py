"""The table of commands: help, what is imported, exit codes, completion."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.base import errors
from syncd.cli import completing, exits, main
from tests.cli.conftest import Call

HEAVY = ("aiohttp", "asyncio", "yaml", "kubernetes", "git", "sqlite3", "watchfiles", "orjson", "croniter")


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_every_command_teaches_with_examples(name: str, call: Call) -> None:
    said = call(*name.split(), "--help")
    assert said.code == 0
    assert f"usage: syncd {name}" in said.out
    assert "examples:\n" in said.out
    assert f"syncd {name}" in said.out.partition("examples:\n")[2]
    assert said.err == ""


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    assert [action.dest for action in main.build(name)._actions if not action.help] == []


def test_overview_names_every_command_once(call: Call) -> None:
    said = call("--help")
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for name, (_, about) in main.COMMANDS.items():
        assert lines.count(f"{name} {about}") == 1
    assert sorted(name for _, names in main.SECTIONS for name in names) == sorted(main.COMMANDS)


def test_every_command_has_its_own_module_and_every_module_its_command() -> None:
    folder = Path(main.__file__).parent / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {module for module, _ in main.COMMANDS.values()} == modules


@pytest.mark.parametrize("words", ["--help", "version", "submit --help", "cron next --help", "list --help"])
def test_help_imports_nothing_heavy(words: str) -> None:
    code = (
        "import sys; from syncd.cli.main import main; code = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, timeout=60, check=False
    )
    allowed = "['yaml']" if words.startswith("submit") else "[]"  # it reads files, so it knows their language
    assert (done.returncode, done.stderr.strip()) == (0, allowed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nosuch", "there is no command 'nosuch'; see `syncd --help`"),
        ("submt", "there is no command 'submt'; did you mean `syncd submit`"),
        ("cron nxt", "there is no command 'cron nxt'; did you mean `syncd cron next`"),
        ("list --bogus", "unrecognized arguments: --bogus; see `syncd list --help`"),
        ("get", "the following arguments are required: WORKFLOW; see `syncd get --help`"),
        ("submit", "nothing to submit; name a file, - for stdin, or --from KIND/NAME"),
        ("submit a.yaml --from cronwf/x", "--from and files exclude each other; give one of them"),
        ("submit a.yaml -p foo", "parameter 'foo' is not NAME=VALUE; write -p message=hello"),
        ("submit a.yaml --wait --watch", "--wait and --watch exclude each other; give one of them"),
        ("submit a.yaml --watch --dry-run", "--dry-run runs nothing, so there is nothing to follow; leave --watch out"),
        ("submit /nonexistent.yaml", "/nonexistent.yaml: No such file or directory"),
        ("delete", "no workflow is named; name some, or say which: --all, --completed, --older 7d, -l a=b, …"),
        ("cron next", "give either the name of a cron, or --schedule"),
        ("cron next -n 0 --schedule @daily", "-n 0 is not between 1 and 10000"),
        ("cron explain x --slot noon", "--slot 'noon' is not a time"),
        ("logs x --since 5m --since-time 2026-01-01T00:00:00Z", "--since and --since-time exclude each other"),
        ("node set x", "nothing to set; give --output-parameter, --phase or --message"),
        ("run", "no configuration; name one with -c FILE or $SYNCD_CONFIG, or use `syncd up SOURCE`"),
        ("up /nonexistent", "there is no /nonexistent; a source is a path, or a URL of a git repository"),
        ("up . --listen nowhere", "--listen 'nowhere' is not HOST:PORT; write 127.0.0.1:2746, or :0 for any free port"),
        ("list --server http://u:p@h", "server 'http://u:p@h' is no address"),
        ("list --server http://h:1", "server http://h:1 wants a token; set $SYNCD_TOKEN, or --token-file FILE"),
        ("lint /nonexistent", "there is no /nonexistent; name files, directories, or a git repository by its URL"),
        ("lint . --kinds pods", "--kinds 'pods': known are workflows"),
        ("plan /nonexistent", "there is no source and no directory '/nonexistent'"),
        ("wait", "the following arguments are required: WORKFLOW"),
    ],
)
def test_a_wrong_call_is_exit_code_2_and_says_what_is_right(words: str, said: str, call: Call) -> None:
    answer = call(*words.split())
    assert answer.err.startswith(f"syncd: error: {said}")
    assert answer.code == exits.Exit.WRONG
    assert answer.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.Unsupported("x"), 2),
        (errors.Invalid("x"), 1),
        (errors.NotFound("x"), 1),
        (errors.AlreadyExists("x"), 1),
        (errors.Conflict("x"), 1),
        (errors.Expired("x"), 1),
        (errors.Refused("x"), 4),
        (errors.Unreachable("x"), 3),
        (errors.Defect("x"), 70),
        (ValueError("x"), 70),
        (KeyboardInterrupt(), 130),
        (RecursionError(), 70),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncd.cli.commands import version

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(version, "run", fail)
    said = call("version")
    assert said.code == code
    assert "Traceback" not in said.err
    assert said.err.startswith("syncd: error: " if code != 130 else "\n")
    assert {int(exit_) for exit_ in exits.MEANINGS} >= {code}


def test_debug_shows_the_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_DEBUG", "1")
    with pytest.raises(errors.ConfigError):
        call("list", "--server", "ftp://x")


@pytest.mark.parametrize("words", ["--state X list", "list --state X", "--state=X list", "--no-color list --state X"])
def test_options_of_every_command_may_stand_in_front(words: str, call: Call, tmp_path: Path) -> None:
    said = call(*words.replace("X", str(tmp_path / "none")).split())
    assert said.code == 1
    assert f"there is nothing in {tmp_path / 'none'} yet" in said.err


def test_switches_as_argos_users_write_them(call: Call, tmp_path: Path) -> None:
    assert call("list", "--completed=true", "--running=false", "--state", str(tmp_path / "none")).code == 1
    assert call("version", "--short=true").out.count(".") == 2
    assert call("version", "--short=false").out.startswith("syncd: ")


@pytest.mark.parametrize(("shell", "check"), [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_completion_scripts_know_every_command(shell: str, check: list[str], call: Call) -> None:
    said = call("completion", shell)
    assert said.code == 0
    for name in main.COMMANDS:
        assert name in said.out
    assert "generate-name" in said.out
    program = shutil.which(shell)
    if program is None:
        return  # the text was looked at; the shell itself is not here to read it
    done = subprocess.run([program, *check], input=said.out, text=True, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_and_groups() -> None:
    script = completing.SHELLS["bash"](completing.words())
    asked = [
        (["syncd", "ve"], "version"),
        (["syncd", "cron", "ex"], "explain"),
        (["syncd", "cron", "next", "--time"], "--timezone"),
        (["syncd", "submit", "--gen"], "--generate-name"),
    ]
    for words, wanted in asked:
        line = (
            f'{script}\nCOMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _syncd; echo "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout.split() == [wanted]
