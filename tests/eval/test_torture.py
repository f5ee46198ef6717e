"""Small counts of the torture runs; ``make torture`` has the full ones."""

from pathlib import Path

from eval.bench import torture


def test_kills(tmp_path: Path) -> None:
    done = torture.kills(tmp_path / "m", 12)
    assert done["acknowledged"] > 12


def test_a_crowd(tmp_path: Path) -> None:
    assert torture.crowd(tmp_path / "m", writers=4, writes=60, readers=2)["reads"] > 0


def test_damaged_indexes(tmp_path: Path) -> None:
    torture.damaged_indexes(tmp_path / "m", 60)


def test_damaged_snapshots(tmp_path: Path) -> None:
    torture.damaged_snapshots(tmp_path / "m", 60)


def test_full_disks(tmp_path: Path) -> None:
    torture.full_disks(tmp_path / "small", 4)


def test_poison(tmp_path: Path) -> None:
    assert torture.poison(tmp_path / "m", 600, 6)["poisoned"] == 6
