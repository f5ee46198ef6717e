"""Fetching from a hub: a real HTTP server that answers as the Hugging Face hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPO, REVISION = "someone/tiny", "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100, "pytorch_model.bin": b"pickle"}

FETCH = """
import sys
from pathlib import Path
from agent.hub.download import from_hub
from agent.errors import AgentError
try:
    print(from_hub(sys.argv[1], sys.argv[2], dict(a.split("=") for a in sys.argv[4:]), Path(sys.argv[3])))
except AgentError as error:
    print(type(error).__name__, error)
"""


class Hub(ThreadingHTTPServer):
    recorded: str | None
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if path.startswith(f"/api/models/{REPO}/"):
            siblings = [{"rfilename": name, "size": len(data), "blobId": "b"} for name, data in FILES.items()]
            if self.server.recorded:
                lfs = {"sha256": self.server.recorded, "size": len(FILES["model.safetensors"]), "pointerSize": 130}
                siblings[1]["lfs"] = lfs  # type: ignore[assignment]
            data = json.dumps({"id": REPO, "sha": REVISION, "siblings": siblings, "tags": []}).encode()
            if "/tree/" in path:
                entries = [{"type": "file", "path": n, "size": len(d), "oid": "b"} for n, d in FILES.items()]
                data = json.dumps(entries).encode()
        elif path.startswith(f"/{REPO}/resolve/{REVISION}/") and path.rpartition("/")[2] in FILES:
            data = FILES[path.rpartition("/")[2]]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json" if path.startswith("/api") else "application/octet-stream")
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub(("127.0.0.1", 0), Handler)
    made.asked, made.recorded = [], hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(hub: Hub, folder: Path, repo: str = REPO, **pinned: str) -> str:
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HUB_DISABLE_XET": "1"}
    environment["HF_HOME"] = str(folder / "home")
    arguments = [repo, REVISION, str(folder / "model"), *(f"{k}={v}" for k, v in pinned.items())]
    done = subprocess.run(
        [sys.executable, "-c", FETCH, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    return done.stdout


def test_files_are_fetched_and_checked_against_the_hubs_record(hub: Hub, tmp_path: Path) -> None:
    assert hub.recorded
    assert hub.recorded in fetch(hub, tmp_path)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (tmp_path / "model" / "pytorch_model.bin").exists()


def test_a_file_that_differs_from_the_record_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.recorded = "0" * 64
    assert fetch(hub, tmp_path).startswith("HashMismatchError model.safetensors has SHA-256")


def test_a_hash_pinned_here_counts_more_than_the_hubs(hub: Hub, tmp_path: Path) -> None:
    pinned = {"model.safetensors": "1" * 64}
    assert fetch(hub, tmp_path, **pinned).startswith("HashMismatchError model.safetensors has SHA-256")


def test_a_file_without_a_record_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.recorded = None
    assert "records no hash for model.safetensors" in fetch(hub, tmp_path)


def test_a_missing_repository_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    assert "can't download someone/else" in fetch(hub, tmp_path, repo="someone/else")
