"""What code in the sandbox must not be able to do. Each attempt prints ESCAPED when it has worked."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from escape_attempts import REFUSED, how_it_ended

from agent.sandbox import Limits, Sandbox, SandboxRun, cgroup

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap: apt-get install bubblewrap"
)

# What bubblewrap refuses where it can, and the filter of system calls everywhere.
OF_NAMESPACES = (
    "a user namespace of its own",
    "a namespace by clone",
    "entering a namespace",
    "mounting /proc",
    "mounting a new file system",
    "changing the root",
)
FAMILIES = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH")


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox(Limits(wall_s=60))


def _escaped(run: SandboxRun) -> bool:
    return "ESCAPED" in run.stdout + (run.result or "")


@pytest.mark.parametrize("attempt", sorted(REFUSED))
async def test_an_attempt_fails(sandbox: Sandbox, attempt: str) -> None:
    run = await sandbox.run(REFUSED[attempt][0])

    assert how_it_ended(attempt, run.exit, run.stdout, run.stderr) == "refused"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make test")
@pytest.mark.parametrize(
    "attempts",
    [
        pytest.param(OF_NAMESPACES, id="namespaces"),
        pytest.param(tuple(REFUSED), id="all", marks=pytest.mark.slow),
    ],
)
def test_the_filter_alone_holds_where_settings_of_the_kernel_are_read_only(attempts: tuple[str, ...]) -> None:
    """As in containers and in isolated tasks of Nomad, where bubblewrap cannot refuse namespaces inside."""
    program = Path(__file__).with_name("escape_attempts.py")
    script = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'

    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, program, *attempts],
        capture_output=True, text=True, timeout=120, cwd=program.parents[2],
        env={**os.environ, "PYTHONPATH": str(program.parents[2])},
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["sealed"] is False
    assert told["attempts"] == dict.fromkeys(attempts, "refused")


@pytest.mark.parametrize("family", FAMILIES)
async def test_no_socket_reaches_a_network(sandbox: Sandbox, family: str) -> None:
    code = (
        f"import socket\ntry:\n    socket.socket(getattr(socket, {family!r}, 40), socket.SOCK_STREAM)\n"
        "    print('ESCAPED')\nexcept OSError as e: print(e.strerror)"
    )

    run = await sandbox.run(code)

    assert not _escaped(run)
    assert "not supported" in run.stdout


async def test_no_socket_of_the_machine_is_in_reach(sandbox: Sandbox) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        named.bind(f"{folder}/s")
        named.listen()
        abstract.bind("\0soundstage-escape")
        abstract.listen()
        code = (
            f"import socket\nfor address in ({folder + '/s'!r}, chr(0) + 'soundstage-escape'):\n"
            "    try:\n        socket.socket(socket.AF_UNIX).connect(address); print('ESCAPED')\n"
            "    except OSError as e: print(e.strerror)"
        )

        run = await sandbox.run(code)

    assert not _escaped(run)
    assert run.stdout.splitlines() == ["No such file or directory", "Connection refused"]


async def test_nothing_of_the_environment_and_the_state_comes_in(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOUNDSTAGE_SECRET", "the-secret-of-the-server")
    (tmp_path / "session.key").write_text("the-secret-of-the-server")
    code = (
        "import os, sys\nprint(dict(os.environ), sys.argv, os.getcwd())\n"
        f"print('ESCAPED' if os.path.exists({str(tmp_path)!r}) else 'no state')\n"
        "fds = []\nfor fd in range(3, 64):\n    try:\n        os.fstat(fd); fds.append(fd)\n"
        "    except OSError: pass\nprint(fds)"
    )

    run = await sandbox.run(code)

    assert "no state" in run.stdout
    assert "secret" not in run.stdout
    assert "'HOME': '/work'" in run.stdout
    # The one on which the result is told, and no other.
    assert len(run.stdout.splitlines()[-1].split(",")) == 1


async def test_a_process_outside_cannot_be_ended(sandbox: Sandbox) -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    code = (
        f"import os, signal\ntry:\n    os.kill({sleeper.pid}, signal.SIGKILL); print('ESCAPED')\n"
        "except OSError as e: print(e.strerror)"
    )
    try:
        run = await sandbox.run(code)
        assert not _escaped(run)
        assert sleeper.returncode is None
    finally:
        sleeper.kill()
        await sleeper.wait()


async def test_a_link_out_of_the_folder_brings_nothing_back(sandbox: Sandbox) -> None:
    code = (
        "import os\nos.symlink('/etc/passwd', 'passwd'); os.symlink('/', 'all'); os.mkfifo('pipe')\n"
        "open('own.txt', 'w').write('mine')"
    )

    run = await sandbox.run(code)

    assert [(file.path, file.text) for file in run.files] == [("own.txt", "mine")]


async def test_whoever_kills_its_keeper_only_ends_itself(sandbox: Sandbox) -> None:
    run = await sandbox.run("import os\nopen('f', 'w').write('x')\nos.kill(-1, 9)\nos.kill(os.getppid(), 9)")

    assert run.exit != 0
    assert run.files == ()


async def test_a_forged_report_is_only_data(sandbox: Sandbox) -> None:
    code = (
        "import os\nfor fd in range(3, 64):\n"
        '    try:\n        os.write(fd, b\'{"exit": 0, "limit": "none", "files": 7}\\n\' * 3)\n'
        "    except OSError: pass\nos._exit(3)"
    )

    run = await sandbox.run(code)

    assert run.limit is None
    assert run.files == ()


@pytest.fixture
def left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process and no control group of a sandbox of this test run is left."""
    prefix = f"{cgroup.PREFIX}{os.getpid()}-"
    monkeypatch.setattr(cgroup, "PREFIX", prefix)
    before = set(_groups(prefix))
    yield
    assert set(_groups(prefix)) <= before


def _groups(prefix: str) -> Iterator[Path]:
    for base in ("memory", "pids", ""):
        yield from Path("/sys/fs/cgroup", base).glob(f"{prefix}*")


BOMBS = {
    "forks": ("import os\nwhile True: os.fork()", {"processes", "time", "output"}),
    "threads": (
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        {"processes"},
    ),
    "memory": ("l = []\nwhile True: l.append(bytearray(1 << 20))", {"memory"}),
    "memory of many": (
        "import os\nfor _ in range(3): os.fork()\nl = []\nwhile True: l.append(bytearray(1 << 20))",
        {"memory"},
    ),
    "a large file": ("f = open('f', 'wb')\nwhile True: f.write(bytes(1 << 20))", {"file_size"}),
    "many files": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'{n}', 'wb').write(bytes(1 << 20))",
        {"disk"},
    ),
    "a full /tmp": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))",
        {"disk"},
    ),
    "shared memory": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'/dev/shm/{n}', 'wb').write(bytes(1 << 20))",
        {"disk"},
    ),
    "output": ("while True: print('x' * 1000)", {"output"}),
    "output to both": ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", {"output"}),
    "a loop": ("while True: pass", {"time"}),
    "sleep": ("import time\ntime.sleep(1000)", {"time"}),
    "signals do not help": (
        "import signal\nfor s in range(1, 65):\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True: pass",
        {"time"},
    ),
}


@pytest.mark.parametrize("bomb", sorted(BOMBS))
@pytest.mark.usefixtures("left_behind")
async def test_a_bomb_meets_its_limit(bomb: str) -> None:
    code, limits = BOMBS[bomb]
    wall_s = 0.5 if limits == {"time"} else 100
    # Each thread takes a stack and an arena of the address space. One that ends in a MemoryError as it starts
    # is waited for, and no limit of processes is met.
    memory_mib = 4096 if bomb == "threads" else 128

    run = await Sandbox(Limits(wall_s=wall_s, cpu_s=100, memory_mib=memory_mib)).run(code)

    assert run.limit in limits, (run.stdout[:300], run.stderr[-300:])
    assert len(run.stdout) <= Limits().output


async def test_the_time_of_the_processor_is_limited_too() -> None:
    run = await Sandbox(Limits(wall_s=120, cpu_s=1)).run("while True: pass")

    assert run.limit == "cpu"


@pytest.mark.usefixtures("left_behind")
async def test_what_runs_in_the_background_ends_with_the_run(sandbox: Sandbox) -> None:
    mark = f"{os.getpid()}.5"
    code = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep({mark})"

    run = await sandbox.run(code)

    assert run.exit == 0
    assert _sandboxes() == []


@pytest.mark.usefixtures("left_behind")
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.5])
async def test_a_cancelled_run_leaves_nothing(sandbox: Sandbox, after_s: float) -> None:
    """In whichever moment of its making it is cancelled."""
    running = asyncio.create_task(sandbox.run("import os, time\nos.fork()\ntime.sleep(1000)"))
    await asyncio.sleep(after_s)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 60)

    async with asyncio.timeout(60):
        while _sandboxes():  # noqa: ASYNC110 - only looking tells
            await asyncio.sleep(0.05)


def _sandboxes() -> list[str]:
    """Command lines of processes that keep a sandbox of this test run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            parent = (folder / "status").read_text()
        except OSError:
            continue
        if b"/run/inside.py" in line and f"PPid:\t{os.getpid()}\n" in parent:
            found.append(line.decode())
    return found
