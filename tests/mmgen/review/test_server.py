"""The desk's server among connections that ask nothing, and uploads without end."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest
from desk_requests import ACCESS, ask
from fake_worker import fake_main

from mmgen.core.errors import FatalError
from mmgen.review import limits
from mmgen.review.app import make_app
from mmgen.review.desk import Desk
from mmgen.review.guard import TOKEN_HEADER, Access
from mmgen.review.server import DeskServer, bound_socket

IDLE = 200


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "meshes", "cpu", fake_main)
    yield made
    made.close()


def test_two_hundred_idle_connections_stop_nobody_and_are_closed(desk, monkeypatch):
    monkeypatch.setattr(limits, "STRAY_CONNECTION_S", 1.0)
    listening = bound_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    with pytest.raises(FatalError, match="port_taken"):
        bound_socket("127.0.0.1", port)
    server = DeskServer(desk, Access.of("secret", "127.0.0.1", port))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(IDLE)]
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", "/static/desk.css", headers={TOKEN_HEADER: "secret"})
            assert connection.getresponse().status == 200
        assert all(one.recv(1) == b"" for one in idle)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def test_the_end_comes_without_noise_while_a_page_waits_for_news(desk, caplog):
    listening = bound_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = DeskServer(desk, Access.of("secret", "127.0.0.1", port))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/changes?since=9", headers={TOKEN_HEADER: "secret"})
        while not server.server_state.tasks:
            time.sleep(0.01)
        server.should_exit = True
        assert connection.getresponse().status == 200
        thread.join(30)
    assert not thread.is_alive() and not caplog.records


def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(desk, monkeypatch):
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 1000)
    for name in ("a.png", "a.zip"):
        answer = ask(make_app(desk, ACCESS), f"/photo/{name}", "PUT", bytes(1001))
        assert answer.status == 422 and answer.json["error"] == "upload_too_large"
    answer = ask(make_app(desk, ACCESS), "/photo/..%2f..%2fa.html", "PUT", b"<script>")
    assert answer.status == 200 and answer.json[0]["error"]["error"] == "upload_unknown_kind"
    assert not desk.photos.exists()


def test_a_photo_with_a_line_break_in_its_name_is_taken(desk):
    answer = ask(make_app(desk, ACCESS), "/photo/a%0Ab.txt", "PUT", b"x")
    assert answer.status == 200 and answer.json[0]["error"]["error"] == "upload_unknown_kind"
