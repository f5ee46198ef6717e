import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from training.bundle import listed, needed, write_parts


def test_parts_are_under_the_limit_and_come_together_in_any_order(tmp_path: Path) -> None:
    files = []
    for name, size in (("llm_big-1.whl", 3000), ("notes.bin", 700), ("more.bin", 900)):
        path = tmp_path / name
        path.write_bytes(hashlib.sha256(name.encode()).digest() * (size // 32))
        files.append(path)
    count = write_parts(files, ["llm_big"], tmp_path / "out", 1024)
    parts = sorted((tmp_path / "out").iterdir())
    assert len(parts) == count == 5
    for part in parts:
        assert sum(piece.stat().st_size for piece in part.glob("*.piece")) <= 1024
    home = tmp_path / "home"
    for part in reversed(parts):
        done = subprocess.run([sys.executable, part / "unpack.py", home], capture_output=True, text=True, check=True)
    assert "all is there" in done.stdout
    for path in files:
        assert (home / "wheels" / path.name).read_bytes() == path.read_bytes()
    assert "HIPPO_CACHE" in (home / "activate").read_text()


def test_a_damaged_piece_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.bin"
    path.write_bytes(b"abc")
    write_parts([path], [], tmp_path / "out", 1024)
    (tmp_path / "out" / "part-00" / "notes.bin.000.piece").write_bytes(b"abd")
    command = [sys.executable, tmp_path / "out" / "part-00" / "unpack.py", tmp_path / "home"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "notes.bin was damaged on the way" in done.stderr


def test_what_the_host_has_is_not_carried() -> None:
    found = needed(listed(["torch==2.11.0+cu130", "transformers==5.17.0", "typing_extensions", "jinja2 3.1.6"]))
    assert not {"torch", "typing-extensions", "jinja2"} & found.keys()
    assert "pydantic" in found
    assert found["transformers"] == metadata.version("transformers")  # the host's is too old
