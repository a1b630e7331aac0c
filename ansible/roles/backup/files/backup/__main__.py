"""`soundstage-backup`: encrypted copies of Consul's and Nomad's state, of databases and of files, and the
way back.

`take` makes a copy, `verify` restores the newest one for a test, `check` says what is wrong, `restore`
undoes a loss, `key` makes the operator's recovery key. The role backup installs it with
/etc/soundstage/backup.json; timers call `take` and `verify`, the node's checks `check`. Only the standard
library, restic and age: it runs with the machine's own Python.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from backup_error import BackupError
from backup_state import Memory
from checking import check, prove_key, verify
from recovery_key import WITHOUT_IT, new_key
from repository import Repository
from restoring import NEWEST, parts_of, recover_secrets, restore
from taking import alone, follows, take


def main() -> int:
    # An exception, so that restic ends with it and nothing in clear stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    try:
        if arguments.verb == "recover-secrets":
            return _recover_secrets(arguments)
        config = json.loads(arguments.config.read_text(encoding="utf-8"))
        _VERBS[arguments.verb](config, arguments)
    except BackupError as error:
        print(f"{error.code}: {error} {error.hint}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(f"backup.misconfigured: {error!r} Converge the machine again.", file=sys.stderr)
        return 2
    return 0


def _init(config: dict[str, Any], _: argparse.Namespace) -> None:
    """Prints for the role what is there."""
    repository = Repository.of(config)
    with alone(config):
        created = repository.create()
        memory = Memory.recall(config, time.time())
        memory.store(config, off_machine=repository.is_off_machine())
        copies = repository.copies()
    former = copies[-1].name if copies and not follows(memory, copies[-1]) else ""
    print(json.dumps({"created": created, "copies": len(copies), "former": former}))


def _take(config: dict[str, Any], arguments: argparse.Namespace) -> None:
    copy = take(config, anew=arguments.anew)
    print(f"{copy.name} holds {', '.join(parts_of(config)) or 'nothing'}.")


def _check(config: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.key:
        print(f"The recovery key alone opens {prove_key(config, arguments.key)}.")
        return
    for problem in check(config, time.time()):
        print(json.dumps({"code": problem.code, "message": str(problem), "hint": problem.hint}))


def _verify(config: dict[str, Any], _: argparse.Namespace) -> None:
    start = time.monotonic()
    copy = verify(config)
    print(f"{copy.name} was restored into a scratch folder and opens ({time.monotonic() - start:.1f} s).")


def _list(config: dict[str, Any], _: argparse.Namespace) -> None:
    for copy in Repository.of(config).copies():
        print(copy.name)


def _key(config: dict[str, Any], _: argparse.Namespace) -> None:
    """The key is printed once and stored nowhere here."""
    repository = Repository.of(config)
    identity, recipient = new_key()
    with alone(config):
        repository.add_key(identity)
        memory = Memory.recall(config, time.time())
        memory.recipient, memory.key_created_s, memory.key_proven_s = recipient, time.time(), 0.0
        memory.store(config, off_machine=repository.is_off_machine())
    print(identity)
    print(
        f"This key is shown once. Store it away from this machine and from the controller. {WITHOUT_IT}\n"
        "Run the playbook once more: then the copies hold the secrets folder of the farm, too,"
        " sealed to this key.\n"
        "Prove it after the next copy: soundstage-backup check --key FILE",
        file=sys.stderr,
    )


def _restore(config: dict[str, Any], arguments: argparse.Namespace) -> None:
    copy, names = restore(config, arguments.copy, arguments.what)
    hours = (time.time() - copy.time_s) / 3600
    print(f"{', '.join(names)} as in {copy.name}. What changed in the {hours:.1f} h since then is lost.")


def _recover_secrets(arguments: argparse.Namespace) -> int:
    """Runs on a controller, which has no /etc/soundstage/backup.json."""
    config: dict[str, Any] = {
        "repository": arguments.repository,
        "host": arguments.host,
        "state_folder": "/var/lib/soundstage-backup",
        "environment_file": arguments.environment,
        "ca_file": arguments.ca_file,
        "ssh": {"key_file": arguments.ssh_key, "known_hosts_file": arguments.known_hosts},
    }
    count = recover_secrets(config, arguments.key, arguments.to)
    print(f"{arguments.to} has {count} files: the secrets folder of the farm.")
    return 0


_VERBS = {
    "init": _init,
    "take": _take,
    "check": _check,
    "verify": _verify,
    "list": _list,
    "key": _key,
    "restore": _restore,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="soundstage-backup", description="Encrypted copies of the farm's state."
    )
    parser.add_argument("--config", type=Path, default=Path("/etc/soundstage/backup.json"))
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("init", help="make the repository unless it is there")
    taking = verbs.add_parser("take", help="make a new copy")
    taking.add_argument(
        "--anew", action="store_true", help="go on without restoring a former installation's copies"
    )
    checking = verbs.add_parser("check", help="say what is wrong with the newest copy")
    checking.add_argument("--key", type=Path, metavar="FILE", help="prove that this recovery key opens it")
    verbs.add_parser("verify", help="restore the newest copy into a scratch folder, and open all of it")
    verbs.add_parser("list", help="name the copies")
    verbs.add_parser("key", help="make the recovery key, and print it once")
    back = verbs.add_parser("restore", help="bring a copy back; what is there now is replaced")
    back.add_argument("copy", nargs="?", default=NEWEST, help="its name; the newest without one")
    back.add_argument("what", nargs="*", help="consul, nomad, or names of databases; all without one")
    secrets = verbs.add_parser(
        "recover-secrets", help="on a new controller: the farm's secrets out of a copy"
    )
    secrets.add_argument("--repository", required=True, help="as backup__repository")
    secrets.add_argument("--host", required=True, help="name of the machine that made the copies")
    secrets.add_argument("--key", type=Path, required=True, metavar="FILE", help="file with the recovery key")
    secrets.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the new secrets folder")
    secrets.add_argument(
        "--environment", metavar="FILE", help="JSON with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    )
    secrets.add_argument("--ca-file", metavar="FILE", help="authority of the S3 server")
    secrets.add_argument("--ssh-key", metavar="FILE", help="private key for SSH")
    secrets.add_argument("--known-hosts", metavar="FILE", help="host keys for SSH")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
