"""Nobody gets in by omission, by a page in a browser, or by guessing."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from syncd.base.errors import ConfigError
from syncd.server import application, auth
from syncd.server.auth import Access
from tests.server.house import READER, WRITER, House, new_house


def concrete(path: str) -> str:
    """A path that the route matches."""
    path = path.replace("{namespace:[^/]*}", "default").replace(
        "{verb:suspend|resume|stop|terminate|retry|set}", "stop"
    )
    path = path.replace("{direction}", "outputs").replace("{where}", "workflows")
    return re.sub(r"\{\w+\}", "some-name", path)


def test_only_these_routes_are_public() -> None:
    public = {(route.method, route.path) for route in application.ROUTES if route.access is Access.PUBLIC}
    assert public == {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/login")}


def test_every_route_that_changes_something_wants_write_access() -> None:
    harmless = {
        ("POST", path)
        for path in (
            "/logout",
            "/api/v1/workflows/{namespace:[^/]*}/lint",
            "/api/v1/workflow-templates/{namespace:[^/]*}/lint",
            "/api/v1/cluster-workflow-templates/lint",
            "/api/v1/cron-workflows/{namespace:[^/]*}/lint",
        )
    }
    lax = {(r.method, r.path) for r in application.ROUTES if r.method != "GET" and r.access is not Access.WRITE}
    assert lax == harmless
    assert all(r.access is not Access.WRITE for r in application.ROUTES if r.method == "GET")


async def test_the_table_holds_every_route_of_the_application(house: House) -> None:
    app = application.build(house.services, house.doors)
    assert len({(r.method, r.path) for r in application.ROUTES}) == len(application.ROUTES)
    assert len(list(app.router.routes())) == len(application.ROUTES)


async def test_no_route_but_the_public_ones_answers_a_stranger(house: House) -> None:
    """Walks the table over the wire: 401 without a token, with a wrong one, and 403 for a reader who would write."""
    for route in application.ROUTES:
        path = concrete(route.path)
        if route.access is Access.PUBLIC:
            continue
        status, said = await house.call(route.method, path, token="")
        assert (status, said["code"]) == (401, 16), path
        house.clock.advance(3600)
        status, _ = await house.call(route.method, path, token="guess" * 10)
        assert status == 401, path
        if route.access is Access.WRITE:
            status, said = await house.call(route.method, path, token=READER)
            assert (status, said["code"]) == (403, 7), path
    assert house.runs.asked == house.crons.asked == house.sources.asked == []


async def test_health_and_metrics_need_no_token(house: House) -> None:
    assert await house.call("GET", "/livez", token="") == (200, "ok\n")
    assert await house.call("GET", "/readyz", token="") == (200, "ok\n")
    assert await house.call("GET", "/metrics", token="") == (200, "syncd_up 1\n")
    house.not_ready.append("source examples: not yet fetched")
    assert await house.call("GET", "/readyz", token="") == (503, "source examples: not yet fetched\n")


async def test_unknown_routes_and_methods_answer_in_json(house: House) -> None:
    status, said = await house.call("GET", "/api/v1/nothing")
    assert (status, said["code"]) == (404, 5)
    assert (await house.call("GET", "/api/v1/nothing", token=""))[0] == 401
    status, said = await house.call("PATCH", "/api/v1/info")
    assert (status, said["code"], house.last.headers["Allow"]) == (405, 12, "GET")


@pytest.mark.parametrize(
    "header",
    [f"Bearer {WRITER}", f"bearer {WRITER}", WRITER, f"Bearer  {WRITER} "],
    ids=["Bearer", "lower", "bare", "spaces"],
)
async def test_the_token_comes_with_a_scheme_or_as_it_is(house: House, header: str) -> None:
    status, said = await house.call("GET", "/api/v1/userinfo", token="", headers={"Authorization": header})
    assert (status, said["subject"], said["groups"]) == (200, "local", ["write"])


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", f"Basic {WRITER}", f"Bearer {WRITER}x", f"Bearer {WRITER[:-1]}", "Bearer \xff"]
)
async def test_anything_else_is_not_the_token(house: House, header: str) -> None:
    status, _ = await house.call("GET", "/api/v1/userinfo", token="", headers={"Authorization": header})
    assert status == 401


async def test_a_client_may_say_who_its_user_is(house: House) -> None:
    _, said = await house.call("GET", "/api/v1/userinfo", headers={"X-Syncd-By": "alice"})
    assert said["subject"] == "local:alice"
    _, said = await house.call("GET", "/api/v1/userinfo", headers={"X-Syncd-By": "al ice"})
    assert said["subject"] == "local"


async def test_wrong_tokens_are_capped_but_the_right_one_always_works(house: House) -> None:
    for _ in range(auth.FAILURES_PER_MINUTE):
        assert (await house.call("GET", "/api/v1/info", token="wrong" * 9))[0] == 401
    status, said = await house.call("GET", "/api/v1/info", token="wrong" * 9)
    assert (status, said["code"], house.last.headers["Retry-After"]) == (429, 8, "60")
    assert (await house.call("GET", "/api/v1/info"))[0] == 200
    house.clock.advance(61)
    assert (await house.call("GET", "/api/v1/info", token="wrong" * 9))[0] == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("[::1]:80", 200),
        ("ui.localhost", 200),
        ("syncd.example", 200),
        ("syncd.example:443", 200),
        ("evil.example", 403),
        ("evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("10.0.0.1", 403),
        ("0.0.0.0:{port}", 403),
        ("[::1]evil.example", 403),
        ("localhost:80:evil", 403),
    ],
)
async def test_the_host_must_be_ours(house: House, host: str, status: int) -> None:
    """DNS rebinding: a page under a name of its own reaches loopback, but cannot choose its Host."""
    headers = {"Host": host.format(port=house.port)}
    assert (await house.call("GET", "/api/v1/info", headers=headers))[0] == status
    assert (await house.call("GET", "/metrics", headers=headers, token=""))[0] == status
    assert (await house.call("GET", "/livez", headers=headers, token=""))[0] == 200


async def raw(house: House, text: str) -> bytes:
    """What the server answers to bytes that no client library would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(text.replace("\n", "\r\n").encode())
    await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answer)
        assert length is not None
        answer += await reader.readexactly(int(length[1]))
    writer.close()
    return answer


async def test_a_request_without_a_host_is_refused(house: House) -> None:
    answer = await raw(house, f"GET /api/v1/info HTTP/1.0\nAuthorization: {WRITER}\n\n")
    assert b" 403 " in answer.split(b"\r\n")[0]


async def login(house: House) -> str:
    """The cookie that a browser gets."""
    _, said = await house.call("POST", "/api/syncd/v1/login-link")
    status, _ = await house.call("GET", said["path"], token="")
    assert (status, house.last.headers["Location"]) == (303, "/")
    cookie = house.last.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert house.client is not None
    house.client.cookie_jar.clear()
    return cookie.split(";")[0]


async def test_a_link_lets_one_browser_in_once(house: House) -> None:
    path = house.doors.login_path()
    assert (await house.call("GET", path, token=""))[0] == 303
    assert (await house.call("GET", path, token=""))[0] == 401
    late = house.doors.login_path()
    house.clock.advance(601)
    assert (await house.call("GET", late, token=""))[0] == 401
    assert (await house.call("GET", "/login", token=""))[0] == 401


async def test_a_session_reads_and_ends(house: House) -> None:
    cookie = {"Cookie": await login(house)}
    assert (await house.call("GET", "/api/v1/info", token="", headers=cookie))[0] == 200
    assert (await house.call("GET", "/", token="", headers=cookie))[1]["version"] == "0.1.0"
    house.clock.advance(12 * 3600 + 1)
    assert (await house.call("GET", "/api/v1/info", token="", headers=cookie))[0] == 401


async def test_logging_out_ends_the_session(house: House) -> None:
    cookie = {"Cookie": await login(house), "Origin": house.url}
    assert (await house.call("POST", "/logout", token="", headers=cookie))[0] == 200
    assert (await house.call("GET", "/api/v1/info", token="", headers=cookie))[0] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "{url}"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),  # another program of this machine
        ({"Origin": "{url}.evil.example"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_a_write_by_cookie_comes_from_our_own_page(house: House, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(url=house.url, port=house.port) for name, value in headers.items()}
    sent["Cookie"] = await login(house)
    assert (await house.call("POST", "/api/syncd/v1/reload", token="", headers=sent))[0] == status


async def test_another_site_may_not_even_read_by_cookie(house: House) -> None:
    sent = {"Cookie": await login(house), "Sec-Fetch-Site": "cross-site"}
    assert (await house.call("GET", "/api/v1/info", token="", headers=sent))[0] == 403


async def test_a_wrong_token_is_not_helped_by_a_good_cookie(house: House) -> None:
    sent = {"Cookie": await login(house)}
    assert (await house.call("GET", "/api/v1/info", token="wrong" * 9, headers=sent))[0] == 401


async def test_large_bodies_are_refused_before_they_are_read(house: House) -> None:
    head = f"POST /api/v1/workflows/default HTTP/1.1\nHost: localhost\nAuthorization: {WRITER}\n"
    answer = await raw(house, head + "Content-Length: 99999999\n\n")
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == 8


async def test_a_large_body_without_a_length_is_cut_off(house: House) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65536

    assert house.client is not None
    headers = {"Authorization": WRITER}
    async with house.client.post(house.url + "/api/v1/workflows/default", data=endless(), headers=headers) as response:
        assert response.status == 413


async def test_compressed_bodies_are_refused(house: House) -> None:
    """Two megabytes of gzip are two gigabytes of zeros."""
    status, said = await house.call("POST", "/api/v1/workflows/default", {}, headers={"Content-Encoding": "gzip"})
    assert (status, said["code"]) == (415, 3)


async def test_answers_tell_browsers_to_keep_their_hands_off(house: House) -> None:
    for path in ("/api/v1/info", "/api/v1/nothing", "/metrics"):
        await house.call("GET", path)
        assert house.last.headers["X-Content-Type-Options"] == "nosniff"
        assert house.last.headers["Cache-Control"] == "no-store"
        assert house.last.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert house.last.headers["Server"] == "syncd"
        assert "Access-Control-Allow-Origin" not in house.last.headers


def test_a_server_without_a_token_or_with_a_short_one_cannot_be_built() -> None:
    clock = new_house().clock
    with pytest.raises(ConfigError, match="no token"):
        auth.Doors([], clock)
    with pytest.raises(ConfigError, match="shorter than 20"):
        auth.Credential("ci", "hunter2")


def test_a_credential_does_not_print_its_token() -> None:
    assert WRITER not in repr(auth.Credential("local", WRITER))
