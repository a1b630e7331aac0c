"""Groups of processes are read while machines make and remove them; which version of control groups limits a
machine follows from what is mounted."""

import threading
from pathlib import Path

import pytest

from lab import control_groups
from lab.control_groups import processes_of


def test_groups_that_come_and_go_do_not_disturb_who_counts(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("1\n")
    stop = threading.Event()

    def systemd() -> None:
        while not stop.is_set():
            unit = tmp_path / "user.slice" / "user-0.slice"
            unit.mkdir(parents=True)
            (unit / "cgroup.procs").write_text("2\n")
            (unit / "cgroup.procs").unlink()
            unit.rmdir()
            unit.parent.rmdir()

    maker = threading.Thread(target=systemd)
    maker.start()
    try:
        for _ in range(3000):
            assert processes_of(tmp_path) in ([1], [1, 2])
    finally:
        stop.set()
        maker.join()


def mount_v2(place: Path, controllers: str, handed_down: str) -> None:
    """As the kernel shows the top of version 2."""
    place.mkdir(exist_ok=True)
    (place / "cgroup.controllers").write_text(controllers)
    (place / "cgroup.subtree_control").write_text(handed_down)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in for /sys/fs/cgroup."""
    monkeypatch.setattr(control_groups, "_FILES", tmp_path)
    return tmp_path


def test_a_computer_that_has_version_2_alone_limits_by_it(files: Path) -> None:
    """A usual laptop: systemd has handed down what its own units asked for."""
    mount_v2(files, "cpuset cpu io memory hugetlb pids rdma misc\n", "memory pids\n")
    (files / "system.slice").mkdir()
    assert control_groups.find_unified_hierarchy() == files
    assert control_groups.hierarchies_v1() == {}
    assert control_groups.to_hand_down(files) == ["cpu", "cpuset", "io"]


def test_a_computer_with_both_versions_limits_by_version_1(files: Path) -> None:
    mount_v2(files / "unified", "hugetlb\n", "")
    for name in ("memory", "pids", "net_cls"):
        (files / name).mkdir()
        (files / name / "tasks").touch()
    (files / "cpu,cpuacct").mkdir()
    (files / "cpu,cpuacct" / "tasks").touch()
    for name in ("cpu", "cpuacct"):
        (files / name).symlink_to("cpu,cpuacct")
    assert control_groups.find_unified_hierarchy() == files / "unified"
    assert control_groups.hierarchies_v1() == {
        name: files / name for name in ("cpu", "cpuacct", "memory", "pids")
    }
    assert control_groups.to_hand_down(files / "unified") == []


def test_each_controller_is_taken_from_the_version_that_has_it(files: Path) -> None:
    mount_v2(files / "unified", "io pids\n", "pids\n")
    (files / "memory").mkdir()
    (files / "memory" / "tasks").touch()
    assert control_groups.hierarchies_v1() == {"memory": files / "memory"}
    assert control_groups.to_hand_down(files / "unified") == ["io"]
