"""Groups of processes are read while machines make and remove them."""

import threading
from pathlib import Path

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
