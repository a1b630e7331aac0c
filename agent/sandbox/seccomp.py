"""A filter of system calls for bubblewrap (`--seccomp`): what code in the sandbox has no use for fails.

Classic BPF over `struct seccomp_data`: seccomp(2), Linux' Documentation/userspace-api/seccomp_filter.rst.
The namespaces keep the code in; this keeps it away from parts of the kernel where holes were found before.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType

# Offsets in struct seccomp_data; arguments are 64 bits wide, and both machines are little-endian.
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000

_NAMESPACES = 0x7E020000
"""CLONE_NEW*: cgroup, uts, ipc, user, pid, net, mount."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
"""Put characters into the input of a terminal, as if its user had typed them."""

_X86_64 = MappingProxyType({
    "ioctl": 16, "socket": 41, "clone": 56, "ptrace": 101, "syslog": 103, "personality": 135,
    "modify_ldt": 154, "pivot_root": 155, "chroot": 161, "acct": 163, "mount": 165, "umount2": 166,
    "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172,
    "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212,
    "mbind": 237, "set_mempolicy": 238, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl":
    250, "migrate_pages": 256, "unshare": 272, "vmsplice": 278, "move_pages": 279, "perf_event_open":
    298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter":
    426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442,
    "quotactl_fd": 443,
})  # fmt: skip
_AARCH64 = MappingProxyType({
    "ioctl": 29, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "vmsplice":
    75, "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105,
    "delete_module": 106, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161,
    "setdomainname": 162, "socket": 198, "add_key": 217, "request_key": 218, "keyctl": 219, "clone":
    220, "swapon": 224, "swapoff": 225, "mbind": 235, "set_mempolicy": 237, "migrate_pages": 238,
    "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp":
    272, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294, "io_uring_setup":
    425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen":
    430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442, "quotactl_fd": 443,
})  # fmt: skip
_MACHINES: Mapping[str, tuple[int, Mapping[str, int]]] = MappingProxyType(
    {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
)
"""AUDIT_ARCH_* of linux/audit.h, and the numbers of the calls."""
_LOOKED_INTO = frozenset({"ioctl", "socket", "clone", "clone3"})


def syscall_filter(machine: str | None = None) -> bytes | None:
    """The program as bubblewrap reads it; None for a machine whose numbers are not known here."""
    known = _MACHINES.get(machine or platform.machine())
    return None if known is None else b"".join(_program(*known))


def _program(arch: int, numbers: Mapping[str, int]) -> Iterator[bytes]:
    yield _do(_LOAD, _ARCH)
    yield _do(_JUMP_EQUAL, arch, 1, 0)
    yield _do(_RETURN, _KILL)
    yield _do(_LOAD, _NUMBER)
    yield _do(_JUMP_AT_LEAST, _X32_BIT, 0, 1)
    yield _do(_RETURN, _KILL)
    for name, number in numbers.items():
        if name not in _LOOKED_INTO:
            yield from _refuse(number, errno.EPERM)
    # Its flags lie in memory, where a filter cannot look: the C library then takes clone instead.
    yield from _refuse(numbers["clone3"], errno.ENOSYS)
    yield from _when(numbers["clone"], _ARGUMENT_0, _do(_JUMP_ANY_BIT, _NAMESPACES, 0, 1), errno.EPERM)
    for request in (_TIOCSTI, _TIOCLINUX):
        yield from _when(numbers["ioctl"], _ARGUMENT_1, _do(_JUMP_EQUAL, request, 0, 1), errno.EPERM)
    # Some families (vsock to a hypervisor, for one) know nothing of network namespaces.
    yield from _when(
        numbers["socket"], _ARGUMENT_0, _do(_JUMP_EQUAL, socket.AF_UNIX, 1, 0), errno.EAFNOSUPPORT
    )
    yield _do(_RETURN, _ALLOW)


def _refuse(number: int, error: int) -> Iterator[bytes]:
    yield _do(_JUMP_EQUAL, number, 0, 1)
    yield _do(_RETURN, _FAIL | error)


def _when(number: int, offset: int, test: bytes, error: int) -> Iterator[bytes]:
    """`test` goes on to the failure or jumps over it; afterwards the number of the call is loaded again."""
    yield _do(_JUMP_EQUAL, number, 0, 4)
    yield _do(_LOAD, offset)
    yield test
    yield _do(_RETURN, _FAIL | error)
    yield _do(_LOAD, _NUMBER)


def _do(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One `struct sock_filter`."""
    return struct.pack("<HBBI", code, if_true, if_false, value)
