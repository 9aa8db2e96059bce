"""URLs: one spelling each, and the hostile ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import urls


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("HTTPS://Example.ORG:8443/a", "https://example.org:8443/a"),
        ("https://user@example.org/a", "https://user@example.org/a"),
        ("ssh://git@example.org:2222/a.git", "ssh://git@example.org:2222/a.git"),
        ("git@example.org:team/a.git", "ssh://git@example.org/team/a.git"),
        ("git@example.org:/srv/a.git", "ssh://git@example.org/srv/a.git"),
        ("git@example.org:~/a.git", "ssh://git@example.org/~/a.git"),
        ("example.org:a/b", "ssh://example.org/a/b"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("file:///srv/a.git", "file:///srv/a.git"),
        ("/srv/with space/a.git", "/srv/with space/a.git"),
    ],
)
def test_one_spelling(url: str, spelling: str) -> None:
    assert urls.normalise(url, allow_file=True) == spelling
    assert urls.normalise(spelling, allow_file=True) == spelling


HOSTILE = [
    "",
    "ext::sh -c 'touch /tmp/x'",
    "ext::sh%20-c%20x",
    "EXT::x",
    "fd::17",
    "--upload-pack=touch x",
    "-u/tmp/x",
    "ssh://-oProxyCommand=x/a",
    "ssh://git@-oProxyCommand=x/a",
    "ssh://-oProxyCommand=x@host/a",
    "-oProxyCommand=x:a",
    "git@-oProxyCommand=x:a",
    "git@host:-oProxyCommand",
    "host:--upload-pack=x",
    "ssh://host/-x",
    "https://host/a\nhost=evil",
    "https://host/a\rb",
    "https://host/a b",
    "https://host/\x00",
    "https://ho\x7fst/a",
    "https://user:secret@host/a",
    "https://host",
    "https:///a",
    "https://host:99999/a",
    "https://host:x/a",
    "https://host/a?x=1",
    "https://host/a#main",
    "https://host/../a",
    "http://host/a",
    "git://host/a",
    "ftp://host/a",
    "javascript:alert(1)",
    "file:///etc",
    "/etc",
    "file://host/a",
    "./a",
    "a",
    "C:\\repo",
    "https://$HOME/a",
    "https://`id`/a",
    "https://h" + "a" * 3000,
    "https://[::1/a",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_urls_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        urls.normalise(url)
    assert "secret" not in str(caught.value)


@given(st.text(alphabet="abhtpsfile:/@-.[]#?%$ \n~0", max_size=40))
def test_what_passes_is_plain(url: str) -> None:
    """Law: a URL that passes has an allowed scheme, no option, no helper, no control character, and passes again."""
    try:
        found = urls.normalise(url)
    except ValueError:
        return
    assert found.startswith(("https://", "ssh://"))
    assert not found.split("://", 1)[1].startswith("-")
    assert found.isprintable()
    assert urls.normalise(found) == found
