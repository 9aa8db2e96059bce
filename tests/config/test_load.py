"""The configuration: defaults, what is read, and every fault at once with its place."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.base.errors import ConfigError
from syncd.config import describe
from syncd.config.load import load
from syncd.config.model import Atomic, Config, LogFormat, Ref, Runtime, Workflows


def faults(text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, env)
    return str(caught.value).splitlines()


def test_an_empty_file_is_the_defaults() -> None:
    config = load("", {"HOME": "/home/u"}, cores=4)
    assert config == dataclasses.replace(Config(), state="/home/u/.local/state/syncd", parallelism=8)


def test_the_state_follows_xdg() -> None:
    assert load("", {"HOME": "/home/u", "XDG_STATE_HOME": "/x"}).state == "/x/syncd"
    assert load("state: /srv/syncd", {"XDG_STATE_HOME": "/x"}).state == "/srv/syncd"


FULL = """\
state: /var/lib/syncd
sources:
  - url: git@example.org:team/jobs.git
    ref: main
    folder: ./ci/
    include: "*.yaml"
    exclude: [test, "**/old/*.yaml"]
    interval: 1m30s
    auth: {identityFile: /k, knownHostsFile: /h}
    atomic: object
    workflows: run
    prune: {maxDeleteFraction: 1}
    kinds: [CronWorkflow]
  - name: local
    path: /srv/jobs
    worktree: true
    ref: {branch: dev}
runtime: sandbox
sandbox:
  images: {"a:1": [/bin/a, -x]}
retention: {runsAge: 7d, runsCount: 5, logsAge: 0.5d}
artifactRepository: {s3: {bucket: b}}
diskReserve: 1Gi
log: {format: json}
limits: {fileBytes: 1024}
"""


def test_every_kind_of_knob_is_read() -> None:
    config = load(FULL, {})
    jobs, local = config.sources
    assert (jobs.name, jobs.url, jobs.folder) == ("jobs", "ssh://git@example.org/team/jobs.git", "ci")
    assert (jobs.ref, local.ref) == (Ref(text="main"), Ref(branch="dev"))
    assert (jobs.include, jobs.exclude, jobs.kinds) == (("*.yaml",), ("test", "**/old/*.yaml"), ("CronWorkflow",))
    assert (jobs.interval, jobs.atomic, jobs.workflows) == (timedelta(seconds=90), Atomic.OBJECT, Workflows.RUN)
    assert jobs.prune.max_delete_fraction == 1
    assert (local.name, local.path, local.worktree) == ("local", "/srv/jobs", True)
    assert config.runtime is Runtime.SANDBOX
    assert dict(config.sandbox.images) == {"a:1": ("/bin/a", "-x")}
    assert (config.retention.runs_age, config.retention.logs_age) == (timedelta(days=7), timedelta(hours=12))
    assert config.artifact_repository == {"s3": {"bucket": "b"}}
    assert (config.disk_reserve, config.limits.file_bytes, config.log.format) == (2**30, 1024, LogFormat.JSON)


def test_the_environment_wins_over_the_file() -> None:
    env = {"SYNCD_LISTEN_PORT": "1234", "SYNCD_LOG_LEVEL": "debug", "SYNCD_SCHEDULE_ENABLED": "no", "SYNCD_STATE": "/s"}
    config = load("listen: {port: 1}\nstate: /f\n", {**env, "SYNCD_SCHEDULE_CATCH_UP_CAP": "3", "OTHER": "1"})
    assert (config.listen.port, config.log.level, config.schedule.enabled, config.state) == (1234, "debug", False, "/s")
    assert config.schedule.catch_up_cap == 3
    assert faults("", SYNCD_LISTEN_PORT="x") == ['syncd.yaml: SYNCD_LISTEN_PORT: "x" where a whole number is needed']


def test_all_faults_are_said_at_once_in_order_of_the_file() -> None:
    text = """\
listen:
  prot: 1
  port: yes
schedule: [1]
runtime: docker
retention: {runsAge: 5 days}
sources:
  - interval: 10
  - {url: "https://u:hunter2@h/a", path: /b, name: A_B}
  - {name: s, path: /b}
  - {name: s, url: "ext::sh -c x"}
log: {level: info}
log: {level: info}
"""
    found = faults(text)
    assert found == [
        "syncd.yaml:2:3: listen.prot: no such knob; did you mean port",
        'syncd.yaml:3:3: listen.port: "true" where a whole number is needed',
        "syncd.yaml:4:1: schedule: a list where a mapping is needed",
        'syncd.yaml:5:1: runtime: "docker" is none of its values; known: auto, sandbox, container',
        'syncd.yaml:6:13: retention.runsAge: "5 days" is not a duration; write it as 30s, 5m, 1h30m or 7d',
        'syncd.yaml:8:5: sources[0].interval: "10" is not a duration; write it as 30s, 5m, 1h30m or 7d',
        "syncd.yaml:8:5: sources[0]: neither url nor path; give one of them",
        "syncd.yaml:9:5: sources[1]: url and path; give one of them",
        "syncd.yaml:9:6: sources[1].url: url holds a password; put it into a file and name that as auth.passwordFile",
        (
            "syncd.yaml:9:46: sources[1].name: not a name; lower-case letters, digits, - and . up to 63, "
            "first and last a letter or digit"
        ),
        'syncd.yaml:11:6: sources[3].name: a second source called "s"; give each a name of its own',
        "syncd.yaml:11:15: sources[3].url: url holds a space or control character",
        'syncd.yaml:13:1: key "log" is there twice (first in line 12); keep one of them',
    ]
    assert "hunter2" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "syncd.yaml:1:4: the text ends where a value is needed; close the brackets"),
        ("- a", "syncd.yaml: a list where a mapping is needed"),
        ("state: a\n---\nstate: b\n", "syncd.yaml:3:1: a second document; put everything into one"),
        ("state: 1", 'syncd.yaml:1:1: state: "1" where text (quote it) is needed'),
        ("parallelism: -1", "syncd.yaml:1:1: parallelism: is negative"),
        (
            "diskReserve: lots",
            'syncd.yaml:1:1: diskReserve: "lots" is not a size; write it as 3Mi, 1Gi or a number of bytes',
        ),
        ("listen: {port: 70000}", "syncd.yaml:1:10: listen.port: is no port; 0 to 65535"),
        (
            "listen: {host: 0.0.0.0}",
            (
                "syncd.yaml:1:10: listen.host: listening beyond loopback needs tokens; "
                "name a file of tokens as listen.tokensFile, or listen on 127.0.0.1"
            ),
        ),
        (
            "sources: [{path: /a, ref: {tag: a, branch: b}}]",
            "syncd.yaml:1:22: sources[0].ref: several at once: tag, branch; give one of them",
        ),
        (
            "sources: [{path: /a, ref: {commit: abc}}]",
            "syncd.yaml:1:28: sources[0].ref.commit: not a full commit id; 40 or 64 hex digits",
        ),
        ("sources: [{path: /a, folder: a/../../b}]", "syncd.yaml:1:22: sources[0].folder: leads out of the repository"),
        (
            "sources: [{path: /a, prune: {maxDeleteFraction: 1.5}}]",
            "syncd.yaml:1:30: sources[0].prune.maxDeleteFraction: must be above 0 and at most 1; 1 deletes freely",
        ),
        ("sources: [{path: /a, timeout: 0s}]", "syncd.yaml:1:22: sources[0].timeout: is under a second"),
        (
            'sources: [{url: "git@h:a", auth: {identityFile: /k}}]',
            (
                "syncd.yaml:1:28: sources[0].auth: identityFile without knownHostsFile: the host could be anybody's; "
                "ssh-keyscan the host, check the key, and name the file as auth.knownHostsFile"
            ),
        ),
        (
            'sources: [{url: "http://h/a"}]',
            (
                "syncd.yaml:1:12: sources[0].url: http:// is not allowed: anybody on the way can change what is fetched; "
                "write https://, or set allowHttp"
            ),
        ),
    ],
)
def test_a_fault_names_place_knob_and_remedy(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_loopback_and_tokens_open_the_port() -> None:
    assert load("listen: {host: '::1'}", {}).listen.host == "::1"
    assert load("listen: {host: 0.0.0.0, tokensFile: /t}", {}).listen.tokens_file == "/t"


def test_every_knob_has_a_row_in_the_docs() -> None:
    rows = {name: (kind, default) for name, kind, default, _ in describe.rows()}
    assert rows["sources[].prune.maxDeleteFraction"] == ("number", "0.5")
    assert rows["schedule.grace"] == ("duration", "1m")
    assert rows["limits.fileBytes"] == ("size", "3Mi")
    assert rows["retention.ledgerAge"] == ("duration", "90d")
    assert all(meaning for _, _, _, meaning in describe.rows())
    page = describe.markdown()
    assert all(f"| `{name}` |" in page for name in rows)


knobs = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([n.split(".")[-1].removesuffix("[]") for n, _, _, _ in describe.rows()]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(knobs)
@settings(max_examples=200, deadline=None)
def test_load_answers_or_says_what_is_wrong(value: object) -> None:
    """Law: any file gives a Config or a ConfigError, never a traceback."""
    import json

    try:
        config = load(json.dumps(value), {})
    except ConfigError as wrong:
        assert str(wrong)
    else:
        assert config.parallelism > 0
