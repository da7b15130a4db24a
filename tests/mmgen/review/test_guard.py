"""Who gets through: the token, the host name, the origin."""

import pytest
from desk_requests import ACCESS, HOST, TOKEN, ask
from starlette.responses import PlainTextResponse

from mmgen.review.guard import Access, Guard

APP = Guard(PlainTextResponse("inside"), ACCESS)
COOKIE = ("cookie", f"{ACCESS.cookie}=secret")
OWN = ("origin", "http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", (HOST, COOKIE), 200),
        ("GET", (HOST, TOKEN), 200),
        ("GET", (("host", "localhost:8000"), COOKIE), 200),
        ("GET", (HOST,), 403),
        ("GET", (HOST, ("cookie", f"{ACCESS.cookie}=guess")), 403),
        ("GET", (HOST, ("cookie", "mmgen-desk-9999=secret")), 403),
        ("GET", (COOKIE,), 403),
        ("GET", (("host", "evil.example:8000"), COOKIE), 403),
        ("GET", (("host", "127.0.0.1"), COOKIE), 403),
        ("GET", (HOST, ("host", "evil.example"), COOKIE), 403),
        ("POST", (HOST, TOKEN), 200),
        ("POST", (HOST, TOKEN, OWN), 200),
        ("POST", (HOST, COOKIE), 403),
        ("POST", (HOST, COOKIE, OWN), 403),
        ("POST", (HOST, TOKEN, ("origin", "http://evil.example")), 403),
        ("POST", (HOST, TOKEN, ("origin", "null")), 403),
        ("POST", (HOST, TOKEN, OWN, ("origin", "http://evil.example")), 403),
        ("PUT", (HOST, COOKIE), 403),
        ("OPTIONS", (HOST, ("origin", "http://evil.example")), 403),
    ],
)
def test_only_the_own_page_gets_through(method, headers, status):
    answer = ask(APP, "/asset/1/decide", method, headers=headers)
    assert answer.status == status
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (answer.body == b"inside") == (status == 200)


def test_the_first_visit_gets_a_cookie_and_an_address_without_the_token():
    answer = ask(APP, "/?token=secret", headers=(HOST,))
    assert answer.status == 303 and answer.headers["location"] == "/"
    assert answer.headers["set-cookie"].startswith(f"{ACCESS.cookie}=secret; HttpOnly;")
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert ask(APP, "/?token=guess", headers=(HOST,)).status == 403
    assert ask(APP, "/asset/1/mesh.glb?token=secret", headers=(HOST,)).status == 403


@pytest.mark.parametrize(
    ("listens", "host", "owns"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1", "192.0.2.7:8000", False),
        ("0.0.0.0", "192.0.2.7:8000", True),
        ("0.0.0.0", "192.0.2.7:8001", False),
        ("0.0.0.0", "evil.example:8000", False),
        ("0.0.0.0", "localhost:8000", True),
        ("::1", "[::1]:8000", True),
        ("::", "[2001:db8::7]:8000", True),
        ("desk.example", "desk.example:8000", True),
        ("desk.example", "127.0.0.1:8000", False),
    ],
)
def test_other_machines_come_in_by_number_where_the_desk_is_open(listens, host, owns):
    assert Access.of("secret", listens, 8000).owns(host) == owns
