"""The limits of a run in the sandbox."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits, held inside and outside. Sizes in bytes unless the name says otherwise."""

    wall_s: float = 10.0
    cpu_s: int = 10
    """Of one process."""
    memory_mib: int = 512
    """Of one process; where there is a control group, of all of them with the files that they write."""
    processes: int = 16
    """At the same time, threads included, beside the two that keep the sandbox."""
    processes_alone: int = 4
    """The same where there is no control group, so that the memory of all of them stays bounded."""
    work_mib: int = 32
    """Everything in the work folder; the same again in /tmp."""
    file_mib: int = 16
    open_files: int = 64
    output: int = 64 << 10
    """Of standard output, and the same of standard error; a run that writes more is ended."""
    result: int = 8 << 10
    max_files: int = 20
    max_file_bytes: int = 64 << 10
    max_files_bytes: int = 256 << 10

    @property
    def report(self) -> int:
        """The longest report that is read: the files as JSON, their names, the result."""
        return 3 * self.max_files_bytes + 8 * self.result + self.max_files * 8192 + 65536
