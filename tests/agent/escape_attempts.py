"""Ways out of the sandbox: code that prints ESCAPED when it has got out, and what it prints instead.

Also a program, for places where no test runs: tries those named, or all, with the sandbox there, and prints
JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

CALLING = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    done = getattr(libc, name)(*arguments)
    return f"ESCAPED by {name}" if done >= 0 else f"{name}: {errno.errorcode[ctypes.get_errno()]}"
"""

# By what is tried: the code, and what it must print instead.
REFUSED = {
    "reading the password file": (
        "try:\n    print('ESCAPED', open('/etc/shadow').read())\nexcept OSError as e: print(e.strerror)",
        "No such file",
    ),
    "looking into /root": (
        "import os\ntry:\n    print('ESCAPED', os.listdir('/root'))\nexcept OSError as e: print(e.strerror)",
        "",
    ),
    "finding the folders of other people": (
        "import os\nfor p in ('/home', '/var', '/srv', '/opt', '/mnt', '/sys', '/proc', '/boot'):\n"
        "    print('ESCAPED' if os.path.exists(p) else 'none')",
        "none",
    ),
    "looking at the first process": (
        "try:\n    print('ESCAPED', open('/proc/1/environ', 'rb').read())\n"
        "except OSError as e: print(e.strerror)",
        "No such file",
    ),
    "mounting /proc": (CALLING + "print(call('mount', b'proc', b'/tmp', b'proc', 0, None))", "EPERM"),
    "mounting a new file system": (CALLING + "print(call('fsopen', b'tmpfs', 0))", "EPERM"),
    "changing the root": (CALLING + "os.mkdir('r')\nprint(call('chroot', b'r'))", "EPERM"),
    "tracing its parent": (CALLING + "print(call('ptrace', 16, os.getppid(), 0, 0))", "EPERM"),
    "reading the memory of its parent": (
        CALLING + "print(call('process_vm_readv', os.getppid(), None, 0, None, 0, 0))",
        "EPERM",
    ),
    "becoming root": (
        "import os\ntry:\n    os.setuid(0); print('ESCAPED')\nexcept OSError as e: print(e.strerror)",
        "Invalid argument",
    ),
    "a program that makes everybody root": (
        "import os, stat\nopen('su', 'w').write('x'); os.chmod('su', 0o4755)\n"
        "found = [p for d in ('/usr/bin', '/bin', '/usr/sbin') if os.path.isdir(d)\n"
        "         for p in os.listdir(d) if os.stat(f'{d}/{p}').st_mode & stat.S_ISUID]\n"
        "print('ESCAPED' if found else 'no such programs')",
        "no such programs",
    ),
    "a user namespace of its own": (CALLING + "print(call('unshare', 0x10000000))", "EPERM"),
    "a namespace by clone": (
        CALLING
        + "done = libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 0x10000011, 0, 0, 0, 0)\n"
        "if done == 0: os._exit(0)\nprint('ESCAPED' if done > 0 else errno.errorcode[ctypes.get_errno()])",
        "EPERM",
    ),
    "entering a namespace": (CALLING + "print(call('setns', 0, 0))", "EPERM"),
    "keys of the kernel": (
        CALLING
        + "print('ESCAPED' if libc.syscall(250 if os.uname().machine == 'x86_64' else 219, 0, -3, 1) >= 0"
        " else errno.errorcode[ctypes.get_errno()])",
        "EPERM",
    ),
    "a program in the kernel": (
        CALLING
        + "print('ESCAPED' if libc.syscall(321 if os.uname().machine == 'x86_64' else 280, 0, 0, 0) >= 0"
        " else errno.errorcode[ctypes.get_errno()])",
        "EPERM",
    ),
    "typing on the terminal of the server": (
        CALLING + "import array, fcntl\ntry:\n    fcntl.ioctl(1, 0x5412, b'x'); print('ESCAPED')\n"
        "except OSError as e: print(errno.errorcode[e.errno])",
        "EPERM",
    ),
    "an old way to call the kernel": (
        CALLING + "print('ESCAPED' if libc.personality(8) >= 0 else errno.errorcode[ctypes.get_errno()])",
        "EPERM",
    ),
    "reading the memory of the machine": (
        "import os\nprint(sorted(os.listdir('/dev')))\n"
        "print('ESCAPED' if {'mem', 'kmsg', 'kvm', 'sda', 'vda'} & set(os.listdir('/dev')) else '')",
        "'null'",
    ),
    "changing the standard library": (
        "import os, json\ntry:\n    open(json.__file__, 'a').write('x'); print('ESCAPED')\n"
        "except OSError as e: print(e.strerror)",
        "e",
    ),
    "replacing the program that keeps it": (
        "import os\ntry:\n    os.unlink('/run/inside.py'); print('ESCAPED')\n"
        "except OSError as e: print(e.strerror)",
        "e",
    ),
    "writing beside its folder": (
        "import os\nfor place in ('/', '/dev', '/usr', '/run', '/lib'):\n"
        "    try:\n        open(place + '/x', 'w'); print('ESCAPED', place)\n"
        "    except OSError as e: print(e.strerror)",
        "Read-only file system",
    ),
    "packages of the installation": (
        "for name in ('pydantic', 'pip', 'yaml'):\n"
        "    try:\n        __import__(name); print('ESCAPED', name)\n    except ImportError as e: print(e)",
        "No module named",
    ),
    "hearing of the other processes": (
        "import os\nalive = []\nfor pid in range(1, 100000):\n"
        "    try:\n        os.kill(pid, 0); alive.append(pid)\n    except OSError: pass\n"
        "print('ESCAPED' if len(alive) > 5 else f'{len(alive)} of its own')",
        "of its own",
    ),
}


def how_it_ended(attempt: str, exit_status: int, stdout: str, stderr: str = "") -> str:
    """ "refused", or what is wrong about it."""
    if "ESCAPED" in stdout:
        return f"escaped: {stdout}"
    if exit_status != 0 or REFUSED[attempt][1] not in stdout:
        return f"status {exit_status}: {stdout}{stderr}"
    return "refused"


async def main(attempts: list[str]) -> None:
    from agent.sandbox import Limits, Sandbox

    sandbox = Sandbox(Limits(wall_s=60))
    ended = {}
    for attempt in attempts or REFUSED:
        run = await sandbox.run(REFUSED[attempt][0])
        ended[attempt] = how_it_ended(attempt, run.exit, run.stdout, run.stderr)
    print(json.dumps({"sealed": (await sandbox.look()).sealed, "attempts": ended}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
