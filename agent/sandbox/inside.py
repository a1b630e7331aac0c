"""The first process inside the sandbox: sets the limits, runs the code in a child, reports the outcome.

It imports nothing of the project, which cannot be seen in there. Its request comes as JSON on standard input.
A line of JSON goes to descriptor `report_fd` when the sandbox is ready, and another when the code has ended.
The code runs as the same user, so it may forge the report: readers treat it as untrusted data.
"""

from __future__ import annotations

import ast
import base64
import errno
import json
import linecache
import os
import resource
import signal
import stat
import sys
import traceback
from collections.abc import Mapping
from typing import Any

NAME = "<code>"
MAX_CHARS_PER_BYTE = 3
"""Characters of the report per byte of a file at most: letters beyond ASCII take that many."""
HARD_CPU_S = 1
"""Processor time beyond the limit until a process that ignores the first signal is killed."""


def main() -> None:
    request = json.load(sys.stdin)
    report_fd = request["report_fd"]
    os.set_inheritable(report_fd, False)
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    # For the case that the server has died: the alarm ends this process, and the sandbox with it.
    signal.alarm(request["alarm_s"])
    _write_line(report_fd, {"ready": True})
    set_limits(request)
    result_pipe, result_out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(report_fd)
        os.close(result_pipe)
        signal.alarm(0)
        run(request["code"], result_out, request["result"])
    os.close(result_out)
    _, status = os.waitpid(child, 0)
    kill_all()
    os.set_blocking(result_pipe, False)
    ended = {"exit": os.waitstatus_to_exitcode(status), "files": collect_files(request), **_read(result_pipe)}
    if ended["exit"] == -signal.SIGXCPU:
        ended["limit"] = "cpu"
    _write_line(report_fd, ended)


def set_limits(request: Mapping[str, Any]) -> None:
    """Sets hard limits, which only a privileged process outside can raise."""
    for name, limit in (
        ("RLIMIT_AS", request["memory"]),
        ("RLIMIT_FSIZE", request["file"]),
        ("RLIMIT_NOFILE", request["open_files"]),
        ("RLIMIT_NPROC", request["processes"]),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ):
        resource.setrlimit(getattr(resource, name), (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_s"], request["cpu_s"] + HARD_CPU_S))


def run(code: str, result_out: int, max_result_chars: int) -> None:
    """Runs code as the interactive Python does: the value of the last expression is the result."""
    namespace = {"__name__": "__main__", "__builtins__": __builtins__}
    linecache.cache[NAME] = (len(code), None, code.splitlines(keepends=True), NAME)
    outcome: dict[str, Any] = {}
    status, own_pid = 0, os.getpid()
    try:
        tree = ast.parse(code, NAME)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
        exec(compile(tree, NAME, "exec"), namespace)  # noqa: S102 - what this program is for
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), NAME, "eval"), namespace)  # noqa: S307 - the same
            outcome = {} if value is None else {"result": repr(value)[:max_result_chars]}
        _join_threads()
    except SystemExit as exit_error:
        status = _status(exit_error.code)
    except BaseException as error:
        status = 1
        outcome = {"limit": _limit(error)}
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        _say(error)
    _flush()
    if os.getpid() == own_pid:  # not what the code has forked
        os.write(result_out, json.dumps(outcome).encode("utf-8", "replace"))
    os._exit(status)


def kill_all() -> None:
    """Kills every other process; the kernel spares the first process of the sandbox."""
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def collect_files(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the files in the work folder, with their content where it is small. Links are not followed."""
    found: list[dict[str, Any]] = []
    bytes_left = request["max_files_bytes"]
    for folder, folders, names in os.walk(".", followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - without pathlib the start is faster
            if len(found) >= request["max_files"] or len(path) > 1000:
                return found
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode):
                continue
            entry = {
                "path": os.path.relpath(path).encode("utf-8", "replace").decode(),
                "bytes": info.st_size,
            }
            if info.st_size <= min(request["max_file_bytes"], bytes_left):
                try:
                    content = _content(path, request["max_file_bytes"])
                except OSError:
                    content = b""
                bytes_left -= len(content)
                entry.update(_as_text(content))
            found.append(entry)
    return found


def _content(path: str, max_bytes: int) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read(max_bytes)


def _as_text(content: bytes) -> dict[str, str]:
    """Returns UTF-8 as text, all else as base64, as text with many control characters would exceed the
    report.
    """
    try:
        text = content.decode("utf-8")
        if len(json.dumps(text)) <= MAX_CHARS_PER_BYTE * len(content) + 2:
            return {"text": text}
    except UnicodeDecodeError:
        pass
    return {"base64": base64.b64encode(content).decode("ascii")}


def _limit(error: BaseException) -> str | None:
    """Returns the limit that caused an error, if any."""
    if isinstance(error, MemoryError):
        return "memory"
    number = (error.errno if isinstance(error, OSError) else None) or 0
    started = isinstance(error, RuntimeError) and "start new thread" in str(error)
    if number == errno.EAGAIN or started:
        return "processes"
    return {errno.ENOSPC: "disk", errno.EFBIG: "file_size", errno.ENOMEM: "memory"}.get(number)


def _join_threads() -> None:
    threading = sys.modules.get("threading")
    if threading is not None:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def _say(error: BaseException) -> None:
    try:
        traceback.print_exception(error)
    except BaseException:  # the code may have broken anything by now, and the memory may be full
        os.write(2, type(error).__name__.encode("utf-8", "replace") + b"\n")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def _read(fd: int) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(os.read(fd, 1 << 16) or b"{}")
    except (OSError, ValueError):
        return {}
    return read


def _write_line(fd: int, what: Mapping[str, Any]) -> None:
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
