"""A real HTTP server that speaks the OpenAI protocol as servers do: rightly, wrongly, late, or not at all."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Any
"""A message, a status with words, bytes to send as they are, or the name of a failure of the connection."""


class MisbehavingServer(ThreadingHTTPServer):
    """Server that plays a list of replies, one for each request; the last one is repeated."""

    daemon_threads = True
    replies: list[Reply]
    requests: list[dict[str, Any]]
    refuses: tuple[str, str] = ("", "")  # a word of the request, and the words of the refusal

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def completion(message: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35},
        **more,
    }


class _Handler(BaseHTTPRequestHandler):
    server: MisbehavingServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(raw)
        self.server.requests.append(request)
        word, words = self.server.refuses
        if word and word in raw.decode():
            self._send(400, json.dumps({"error": {"message": words}}).encode())
            return
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply == "hang up":
            self.close_connection = True
            return
        if reply == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.close_connection = True
            return
        if reply == "late":
            time.sleep(1.5)
            self.close_connection = True
            return
        if reply == "cut":
            data = json.dumps(completion({"role": "assistant", "content": "x" * 100})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 50))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True
            return
        if isinstance(reply, tuple):
            status, body, *headers = reply
            self._send(status, body if isinstance(body, bytes) else json.dumps(body).encode(), dict(headers))
        elif isinstance(reply, bytes):
            self._send(200, reply)
        else:
            self._send(200, json.dumps(reply if "choices" in reply else completion(reply)).encode())

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(*replies: Reply, refuses: tuple[str, str] = ("", ""), port: int = 0) -> Iterator[MisbehavingServer]:
    server = MisbehavingServer(("127.0.0.1", port), _Handler)
    server.replies, server.requests, server.refuses = list(replies), [], refuses
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
