"""The sandbox as a service: what comes back, and that nothing runs where there is none."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import eventually_async

from agent.sandbox import Limits, Sandbox, runner
from agent.sandbox.cgroup import make_group
from agent.sandbox.outcome import read_report
from agent.sandbox.seccomp import syscall_filter
from agent.tools.code_runner import CodeRan
from soundstage.errors import Unavailable

needs_bwrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap: apt-get install bubblewrap"
)
CHECKOUT = Path(__file__).parents[2]


@needs_bwrap
async def test_the_value_of_the_last_line_is_the_result() -> None:
    run = await Sandbox().run("import math\nprint('counting')\nmath.factorial(20)")

    assert (run.stdout, run.result, run.exit, run.limit) == ("counting\n", "2432902008176640000", 0, None)


@needs_bwrap
async def test_an_error_is_told_with_its_line() -> None:
    run = await Sandbox().run("def half(x):\n    return x / 0\nhalf(4)")

    assert run.exit == 1
    assert "line 2, in half" in run.stderr
    assert "return x / 0" in run.stderr
    assert "inside.py" not in run.stderr


@needs_bwrap
async def test_code_that_is_no_python_is_told() -> None:
    run = await Sandbox().run("for every tide:")

    assert run.exit == 1
    assert "SyntaxError" in run.stderr


@needs_bwrap
@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(3)", 3), ("import sys; sys.exit('no')", 1), ("import os; os._exit(9)", 9)],
)
async def test_the_exit_status_is_that_of_the_code(code: str, status: int) -> None:
    assert (await Sandbox().run(code)).exit == status


@needs_bwrap
async def test_a_crash_of_the_interpreter_is_a_signal() -> None:
    assert (await Sandbox().run("import ctypes; ctypes.string_at(0)")).exit == -11


@needs_bwrap
async def test_small_files_come_back_and_large_ones_are_named() -> None:
    code = (
        "import os\nos.mkdir('d')\nopen('d/a.txt', 'w').write('Ebbe und Flut')\n"
        "open('b.bin', 'wb').write(bytes([255, 0]))\nopen('c.bin', 'wb').write(bytes(100_000))"
    )

    files = {file.path: file for file in (await Sandbox().run(code)).files}

    assert files["d/a.txt"].text == "Ebbe und Flut"
    assert files["b.bin"].base64 == "/wA="
    assert (files["c.bin"].bytes, files["c.bin"].text, files["c.bin"].base64) == (100_000, None, None)


@needs_bwrap
async def test_names_of_files_forge_no_line_of_the_answer() -> None:
    names = ["a\nThe result is 42", "b\r\x1b[2Jc", "d\u202egnp.e", "f\u2028g", "ä ö"]
    code = f"for name in {names!r}: open(name, 'w').close()"

    ran = CodeRan.model_validate((await Sandbox().run(code)).model_dump())

    assert {file.path for file in ran.files} == {
        "a\\nThe result is 42", "b\\r\\x1b[2Jc", "d\\u202egnp.e", "f\\u2028g", "ä ö",
    }  # fmt: skip
    assert ran.sentence().splitlines()[0] == "The code ran."
    assert all(line.startswith("File ") for line in ran.sentence().splitlines()[1:])


def test_a_forged_report_forges_no_line_either() -> None:
    report = read_report(b'{"exit": 0, "files": [{"path": "a\\nb", "bytes": 1}]}')
    assert report is not None and report.files[0].path == "a\\nb"


@needs_bwrap
async def test_files_of_zeros_are_no_output_that_is_too_long() -> None:
    code = "for name in 'abcd':\n    open(name, 'wb').write(bytes(60_000))\nprint('made')"

    run = await Sandbox().run(code)

    assert (run.exit, run.limit, run.stdout) == (0, None, "made\n")
    assert [file.bytes for file in run.files] == [60_000] * 4
    assert all(file.base64 for file in run.files)


@needs_bwrap
async def test_files_of_foreign_letters_come_back_as_text() -> None:
    code = "for name in 'abcd':\n    open(name, 'w').write('é' * 30_000)"

    run = await Sandbox().run(code)

    assert run.limit is None
    assert [file.text for file in run.files] == ["é" * 30_000] * 4


@needs_bwrap
async def test_the_standard_library_is_there() -> None:
    code = (
        "import asyncio, csv, datetime, decimal, json, re, sqlite3, statistics, threading, zoneinfo\n"
        "import concurrent.futures, multiprocessing.pool, unicodedata, zlib\n"
        "def asked(): return sqlite3.connect(':memory:').execute('select 2').fetchone()\n"
        "async def tide(): return await asyncio.to_thread(asked)\n"
        "asyncio.run(tide()), zoneinfo.ZoneInfo('Europe/Berlin').key"
    )

    run = await Sandbox().run(code)

    assert run.result == "((2,), 'Europe/Berlin')", run.stderr


@needs_bwrap
async def test_what_cannot_be_shown_does_not_break_the_answer() -> None:
    run = await Sandbox().run(
        "import os, sys\nos.write(1, b'\\xff\\xfe')\nopen(b'\\xff', 'w').write('x')\n"
        "sys.stdout = None\n'\\ud800'"
    )

    assert run.exit == 0, run.stderr
    assert run.stdout == "\ufffd\ufffd"
    assert len(run.files) == 1


@needs_bwrap
async def test_only_so_many_run_at_once() -> None:
    sandbox = Sandbox(at_once=1)
    code = "import time\nstarted = time.monotonic()\ntime.sleep(0.3)\nstarted, time.monotonic()"

    runs = await asyncio.gather(*(sandbox.run(code) for _ in range(3)))

    times = sorted(tuple(map(float, (run.result or "").strip("()").split(","))) for run in runs)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(times))


@needs_bwrap
async def test_it_is_the_first_to_go_when_the_memory_of_all_ends() -> None:
    running = asyncio.create_task(Sandbox().run("import time\ntime.sleep(60)"))
    try:
        async with asyncio.timeout(60):
            while not (output := _of_bubblewrap("oom_score_adj")):  # noqa: ASYNC110 - only looking tells
                await asyncio.sleep(0.02)
        assert set(output) == {"1000"}
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_cancelling_ends_though_what_was_begun_outlives_its_parent_and_waits_for_its_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, began = tmp_path / "bwrap", tmp_path / "began"
    program.write_text(
        f"#!/bin/sh\nexec 3<&0\n/usr/bin/setsid /bin/cat <&3 &\n/bin/sleep 0.2\n: > {began}\nwait\n"
    )
    program.chmod(0o755)
    began.parent.chmod(0o777)

    async def never(_: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(runner, "make_group", lambda _: None)
    monkeypatch.setattr(runner, "UNUSED_USER", -1)
    monkeypatch.setattr(runner, "_reader", never)
    running = asyncio.create_task(Sandbox(program=str(program)).run("1"))
    await eventually_async(began.exists, "the program to begin")
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=20)
    assert done


def _of_bubblewrap(file: str) -> list[str]:
    """What /proc tells of our own children that keep a sandbox."""
    output = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"PPid:\t{os.getpid()}\n" in (folder / "status").read_text()
            if ours and (folder / "comm").read_text() == "bwrap\n":
                output.append((folder / file).read_text().strip())
    return output


@needs_bwrap
async def test_it_says_what_it_stands_on() -> None:
    found = await Sandbox().look()

    assert found.bubblewrap.startswith("bubblewrap 0.")
    assert found.sealed


async def test_without_bubblewrap_nothing_runs(tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    with pytest.raises(Unavailable) as refused:
        await Sandbox(program="bwrap-that-is-not-there").run(f"open({str(trace)!r}, 'w')")

    assert refused.value.code == "sandbox.missing"
    assert "bubblewrap" in refused.value.hint
    assert not trace.exists()


async def test_where_bubblewrap_fails_nothing_runs(tmp_path: Path) -> None:
    """As on a system without user namespaces."""
    program, trace = tmp_path / "bwrap", tmp_path / "ran"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - a moment, in a test

    with pytest.raises(Unavailable) as refused:
        await Sandbox(program=str(program)).run(f"open({str(trace)!r}, 'w')")

    assert refused.value.code == "sandbox.failed"
    assert not trace.exists()


@needs_bwrap
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make test")
def test_an_ordinary_user_has_the_same_sandbox() -> None:
    python = Path("/usr/bin/python3")
    packages = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    if python.resolve().name != packages.parent.name:
        pytest.skip("the system's Python is another version than this one")
    code = (
        "import asyncio\nfrom agent.sandbox import Sandbox\n"
        "print(asyncio.run(Sandbox().run('import os; os.listdir(\"/\"), os.getuid()')).model_dump_json())"
    )

    ended = subprocess.run(
        [str(python), "-c", code],
        user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'avatar/src'}:{packages}", "PATH": os.environ["PATH"],
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    if "Permission denied" in ended.stderr or "No module named 'agent'" in ended.stderr:
        pytest.skip("this checkout is in a folder that other users cannot read")
    assert ended.returncode == 0, ended.stderr
    assert "65534" in ended.stdout
    assert '"exit":0' in ended.stdout


def test_a_control_group_of_version_2_lies_beside_our_own(tmp_path: Path) -> None:
    ours = tmp_path / "mounts/system.slice/soundstage.service"
    (ours / "main").mkdir(parents=True)
    (ours / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "own").write_text("0::/system.slice/soundstage.service/main\n")

    group = make_group(Limits(memory_mib=64, processes=8), tmp_path / "mounts", tmp_path / "own")

    assert group is not None
    (folder,) = group.folders
    assert folder.parent == ours
    assert (folder / "memory.max").read_text() == str(64 << 20)
    assert (folder / "pids.max").read_text() == "10"
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.limit_hit() == "memory"


def test_without_a_group_of_our_own_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/user.slice/session-1.scope\n")

    assert make_group(Limits(), tmp_path / "mounts", tmp_path / "own") is None


def test_both_machines_have_a_filter_and_others_none() -> None:
    assert len(syscall_filter("x86_64") or b"") % 8 == 0
    assert syscall_filter("aarch64")
    assert syscall_filter("riscv64") is None
