"""Runs code in a new sandbox each time and returns its outcome; called by the tool `code_runner`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path

from agent.sandbox import inside, launch
from agent.sandbox.cgroup import ControlGroup, make_group
from agent.sandbox.command import kernel_can_seal, sandbox_command
from agent.sandbox.interpreter import find_interpreter
from agent.sandbox.limits import MIB, Limits
from agent.sandbox.outcome import Footing, LimitHit, Report, SandboxRun, read_report
from agent.sandbox.seccomp import syscall_filter
from soundstage.errors import SoundstageError, Unavailable
from soundstage.tasks import cancel_all, finish
from soundstage.telemetry import get_logger

PROGRAM = "bwrap"
AT_ONCE = 2
UNUSED_USER = 1_900_000_000
"""A user id that no account has: for a server that is root, whose own id would count as root's inside too."""
START_S = 20.0
"""What making the sandbox may take, before the time of the code begins."""
END_WITHIN_S = 10.0
CHUNK = 1 << 16
SHOWN_PROBLEM, LOGGED_PROBLEM = 300, 2000


@dataclass(slots=True)
class _Running:
    """The output of one run so far."""

    process: asyncio.subprocess.Process
    group: ControlGroup | None
    report_fd: int
    """How the sandbox knows the pipe on which it reports."""
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    limit: LimitHit | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    report: bytearray = field(default_factory=bytearray)

    def end(self, limit: LimitHit | None = None) -> None:
        """Kills the whole sandbox: its first process dies with bubblewrap, and everything with that.

        One that bubblewrap has just begun does not die with it yet, so all that can be found is killed.
        """
        self.limit = self.limit or limit
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if self.group is not None:
            self.group.kill()


class Sandbox:
    """Never runs anything outside of bubblewrap: where that cannot work, `run` raises Unavailable."""

    def __init__(
        self, limits: Limits | None = None, *, at_once: int = AT_ONCE, program: str = PROGRAM
    ) -> None:
        self.limits = limits or Limits()
        self._free = asyncio.Semaphore(at_once)
        self._program = program

    async def run(self, code: str, *, wall_s: float | None = None) -> SandboxRun:
        """Python code from its first line to its end, or to the first limit that it meets.

        Cancelling it ends the sandbox with all that runs in there. Raises Unavailable (`sandbox.missing`,
        `sandbox.no_python`, `sandbox.failed`) when there is no sandbox.
        """
        return (await self._run_limited(code, self._limited(wall_s)))[0]

    def ready(self, *, wall_s: float | None = None) -> float:
        """Returns how long code may run; raises what `run` would raise before it starts (`sandbox.missing`,
        `sandbox.no_python`).
        """
        self._found()
        find_interpreter(for_others=os.geteuid() == 0)
        return self._limited(wall_s).wall_s

    def _limited(self, wall_s: float | None) -> Limits:
        return self.limits if wall_s is None else replace(self.limits, wall_s=min(wall_s, self.limits.wall_s))

    async def look(self) -> Footing:
        """Returns the isolation of this machine, after running some code. Raises as `run` does."""
        run, grouped = await self._run_limited("6 * 7", self.limits)
        if run.result != "42":
            raise _cannot(f"what ran in it said {run.result or run.stderr.strip() or run.limit}")
        return Footing(
            bubblewrap=(await _printed(str(self._found()), "--version")).strip(),
            sealed=kernel_can_seal(),
            grouped=grouped,
        )

    def _found(self) -> Path:
        bwrap = shutil.which(self._program)
        if bwrap is None:
            raise Unavailable(
                "sandbox.missing",
                "Code runs only in a sandbox, and the program for it is not installed here.",
                "Install Debian's package bubblewrap (0.8 or newer) on the server.",
            )
        return Path(bwrap)

    async def _run_limited(self, code: str, limits: Limits) -> tuple[SandboxRun, bool]:
        """Returns the outcome of a run, and whether a control group limited it."""
        bwrap = self._found()
        async with self._free:
            # A few writes to files of the kernel: in a thread, a cancelled call would leave the group behind.
            group = make_group(limits)
            try:
                return await self._run(bwrap, code, limits, group), group is not None
            finally:
                if group is not None:
                    await finish(group.remove())

    async def _run(self, bwrap: Path, code: str, limits: Limits, group: ControlGroup | None) -> SandboxRun:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with _started(bwrap, limits, group) as running:
            await _until_end(running, _order(code, limits, running.report_fd, group is not None), limits)
        lines = bytes(running.report).splitlines()
        if not lines:
            raise _no_sandbox(running)
        report = read_report(lines[-1]) if len(lines) > 1 else None
        limit = running.limit or (None if group is None else group.limit_hit())
        if report is None:
            # A signal as a negative number: a shell tells it as 128 and more.
            status = running.process.returncode or 0
            report = Report(exit=128 - status if status > 128 else status)
        return SandboxRun(
            stdout=running.stdout[: limits.output].decode("utf-8", "replace"),
            stderr=running.stderr[: limits.output].decode("utf-8", "replace"),
            exit=report.exit,
            result=None if report.result is None else report.result[: limits.result],
            limit=limit or report.limit,
            files=report.files[: limits.max_files],
            seconds=loop.time() - started,
        )


@asynccontextmanager
async def _started(bwrap: Path, limits: Limits, group: ControlGroup | None) -> AsyncIterator[_Running]:
    """A sandbox that waits for its order on standard input; gone, with all in it, when this is left."""
    root = os.geteuid() == 0
    python = await asyncio.to_thread(find_interpreter, for_others=root)
    calls, sealed = syscall_filter(), kernel_can_seal()
    if calls is None and not sealed:
        raise _cannot("the kernel's settings are read-only, and no filter is known for this processor")
    with ExitStack() as opened:
        read_end, write_end = os.pipe()
        reports = opened.enter_context(os.fdopen(read_end, "rb", buffering=0))
        reported = opened.enter_context(os.fdopen(write_end, "wb", buffering=0))
        program = opened.enter_context(_in_memory(await asyncio.to_thread(Path(inside.__file__).read_bytes)))
        seccomp = None if calls is None else opened.enter_context(_in_memory(calls))
        command = sandbox_command(
            bwrap,
            python,
            limits,
            program_fd=program.fileno(),
            seccomp_fd=None if seccomp is None else seccomp.fileno(),
            sealed=sealed,
        )
        files = [reported, program, *([] if seccomp is None else [seccomp])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", launch.__file__, str(UNUSED_USER if root else -1),
            *(() if group is None else group.joined_by), "--", *command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={}, cwd="/", pass_fds=[file.fileno() for file in files], start_new_session=True,
        )  # fmt: skip
        running = _Running(process, group, reported.fileno())
        readers: list[asyncio.Task[None]] = []
        try:
            reported.close()
            readers += [
                asyncio.create_task(_collect(process.stdout, running.stdout, limits.output, running)),
                asyncio.create_task(_collect(process.stderr, running.stderr, limits.output, running)),
            ]
            report, transport = await _reader(reports)
            opened.callback(transport.close)
            readers.append(asyncio.create_task(_collect(report, running.report, limits.report, running)))
            yield running
            await asyncio.wait(readers, timeout=END_WITHIN_S)
        finally:
            running.end()
            if process.stdin is not None:
                # What bubblewrap has just begun may outlive it, and hold the other pipes while it waits here
                # for its order.
                process.stdin.close()
            try:
                await finish(process.wait())
            finally:
                await cancel_all(readers)


async def _until_end(running: _Running, order: bytes, limits: Limits) -> None:
    """Until the sandbox has ended by itself, or by a limit. Its time counts from when it stands."""
    stdin, process = running.process.stdin, running.process
    ended = asyncio.create_task(process.wait())
    stands = asyncio.create_task(running.stands.wait())
    try:
        if stdin is not None:
            stdin.write(order)
            stdin.close()
        await asyncio.wait((ended, stands), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((ended,), timeout=limits.wall_s if stands.done() else 0)
        if not ended.done():
            running.end("time")
            await ended
    finally:
        await cancel_all([ended, stands])


async def _collect(
    stream: asyncio.StreamReader | None, into: bytearray, maximum: int, running: _Running
) -> None:
    """Collects output up to the limit; one byte more ends the run. Reads to the end in any case, because
    a process counts as ended only when its pipes are closed.
    """
    while stream is not None and (chunk := await stream.read(CHUNK)):
        if into is running.report:
            running.stands.set()
        into += chunk[: max(0, maximum + 1 - len(into))]
        if len(into) > maximum:
            running.end("output")


async def _reader(file: FileIO) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader, transport


def _in_memory(content: bytes) -> FileIO:
    """A file without a name, at its beginning."""
    file = os.fdopen(os.memfd_create("sandbox"), "w+b", buffering=0)
    file.write(content)
    file.seek(0)
    return file


def _order(code: str, limits: Limits, report_fd: int, grouped: bool) -> bytes:
    """Returns the order for the first process inside; inside.py reads its keys."""
    order = {
        "code": code,
        "report_fd": report_fd,
        "cpu_s": limits.cpu_s,
        "memory": limits.memory_mib * MIB,
        # The two that keep the sandbox count as well.
        "processes": 2 + (limits.processes if grouped else limits.processes_alone),
        "file": limits.file_mib * MIB,
        "open_files": limits.open_files,
        "alarm_s": int(limits.wall_s + START_S),
        "result": limits.result,
        "max_files": limits.max_files,
        "max_file_bytes": limits.max_file_bytes,
        "max_files_bytes": limits.max_files_bytes,
    }
    return json.dumps(order).encode()


def _no_sandbox(running: _Running) -> SoundstageError:
    problem = running.stderr.decode("utf-8", "replace").strip()
    if running.limit == "time":
        return Unavailable(
            "sandbox.slow", "The sandbox did not start in time.", "Try again when less is going on."
        )
    return _cannot(problem or "it ended at once")


def _cannot(problem: str) -> SoundstageError:
    get_logger(__name__).warning("no sandbox", problem=problem[:LOGGED_PROBLEM])
    return Unavailable(
        "sandbox.failed",
        f"Code runs only in a sandbox, and none can be made: {problem[:SHOWN_PROBLEM]}",
        "Bubblewrap 0.8 or newer and unprivileged user namespaces are needed "
        "(`sysctl kernel.unprivileged_userns_clone user.max_user_namespaces`); "
        'a task of Nomad needs `cap_drop = ["all"]`.',
    )


async def _printed(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    return (await process.communicate())[0].decode("utf-8", "replace")
