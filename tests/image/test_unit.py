"""The systemd unit in examples/: restart and upgrade leave the steps running, and it may do what the sandbox needs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

KNOWN = {
    "Unit": {"Description", "Documentation", "Wants", "After"},
    "Service": {
        "Type", "User", "StateDirectory", "StateDirectoryMode", "Environment", "ExecStart", "ExecReload", "KillMode",
        "KillSignal", "TimeoutStopSec", "Restart", "RestartSec", "NoNewPrivileges", "ProtectSystem", "ProtectHome",
        "PrivateTmp", "LimitNOFILE",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
"""systemd skips a key that it does not know, with a line in its journal that nobody reads."""


@pytest.fixture(scope="module")
def unit() -> dict[str, dict[str, str]]:
    """Section → key → value."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in (ROOT / "examples" / "syncd.service").read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith(("#", ";")):
            key, equals, value = line.partition("=")
            assert equals, f"not a setting: {line}"
            assert key not in section, f"{key} twice"
            section[key] = value
    return found


def test_every_key_is_one_of_systemd(unit: dict[str, dict[str, str]]) -> None:
    assert {section: set(keys) - KNOWN[section] for section, keys in unit.items()} == {name: set() for name in KNOWN}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("KillMode", "process", "each step lives in a process tree of its own, which the next daemon adopts"),
        ("KillSignal", "SIGTERM", "SIGTERM drains"),
        ("Restart", "always", "a daemon that ended comes back"),
        ("PrivateTmp", "false", "a private /tmp goes with the daemon, while steps still use it"),
        ("NoNewPrivileges", "false", "where bubblewrap is setuid, it must become what it is"),
        ("StateDirectoryMode", "0700", "the state holds the token"),
        ("Type", "exec", "a program that cannot be started is a failed start"),
    ],
)
def test_it_says(unit: dict[str, dict[str, str]], key: str, value: str, why: str) -> None:
    assert unit["Service"][key] == value, why


def test_the_namespaces_of_the_sandbox_are_not_forbidden(unit: dict[str, dict[str, str]]) -> None:
    """bubblewrap makes user, mount and pid namespaces and mounts a /proc; steps see what the daemon may see."""
    forbidding = {
        "RestrictNamespaces", "PrivateUsers", "SystemCallFilter", "ProtectKernelTunables", "ProtectProc", "ProcSubset",
        "DynamicUser", "ProtectControlGroups", "CapabilityBoundingSet", "MemoryDenyWriteExecute",
    }  # fmt: skip
    assert not forbidding & set(unit["Service"])


def test_its_state_is_the_directory_that_systemd_makes(unit: dict[str, dict[str, str]]) -> None:
    service = unit["Service"]
    assert service["Environment"] == f"SYNCD_STATE=/var/lib/{service['StateDirectory']}"


def test_it_runs_a_command_of_ours(unit: dict[str, dict[str, str]]) -> None:
    command = shlex.split(unit["Service"]["ExecStart"])
    assert Path(command[0]).is_absolute()
    assert [Path(command[0]).name, *command[1:3]] == ["syncd", "run", "-c"]
    assert "$MAINPID" in unit["Service"]["ExecReload"]
