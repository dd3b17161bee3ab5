"""One request over a socket, as ``status`` and ``tasks`` make it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from opspawn_jupyter import errors
from opspawn_jupyter.client.discovery import Server
from opspawn_jupyter.client.plain_http import get


class Answering:
    """A server that gives every caller the same bytes."""

    def __init__(self) -> None:
        self.answer = b""
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.server = Server(url=f"http://127.0.0.1:{self._socket.getsockname()[1]}/", token="t")
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            line, _ = self._socket.accept()
            with line:
                request = line.recv(1 << 16)
                if not request:
                    return
                self.requests.append(request)
                line.sendall(self.answer)

    def close(self) -> None:
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def answering() -> Iterator[Answering]:
    one = Answering()
    yield one
    one.close()


def test_the_answer_is_read_whole_and_the_caller_named(answering: Answering) -> None:
    answering.answer = b'HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'

    assert get(answering.server, "tasks", {"limit": 2, "kind": None, "state": ["a", "b"]}) == {
        "a": 1
    }

    head = answering.requests[0].decode().split("\r\n")
    assert head[0] == "GET /opspawn/api/v1/tasks?limit=2&state=a&state=b HTTP/1.0"
    assert "Authorization: token t" in head


def test_a_proxy_may_send_it_in_chunks(answering: Answering) -> None:
    """Some do so to a caller of HTTP/1.0, too."""
    chunks = b'4\r\n{"a"\r\n4;x=y\r\n: 1}\r\n0\r\n\r\n'
    answering.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks

    assert get(answering.server, "tasks") == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\nno JSON",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    ],
)
def test_half_an_answer_and_none_of_ours_are_an_unreachable_server(
    answering: Answering, answer: bytes
) -> None:
    answering.answer = answer

    with pytest.raises(errors.ServerUnreachable):
        get(answering.server, "tasks")


def test_the_servers_error_is_the_error_that_is_raised(answering: Answering) -> None:
    answering.answer = (
        b'HTTP/1.1 404 Not Found\r\n\r\n{"code": "task_not_found", "message": "gone"}'
    )

    with pytest.raises(errors.TaskNotFound, match="gone"):
        get(answering.server, "tasks/abc")


def test_a_look_at_the_tasks_imports_neither_the_client_nor_an_event_loop() -> None:
    """Scripts ask again and again; the client takes ten times as long to import as Python."""
    program = (
        "import sys; from opspawn_jupyter.cli.entry import main; "
        "assert main(['tasks', '--server', 'http://127.0.0.1:9']) == 1; "
        "print(*{'asyncio', 'tornado', 'opspawn_jupyter.client.client'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (ran.returncode, ran.stdout.strip()) == (0, "")
    assert "does not answer" in ran.stderr
