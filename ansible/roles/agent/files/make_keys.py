"""Makes the keys that several machines of the studio share, in the form in which one makes its own.

`make_keys.py FOLDER` prints the names of those that were missing. Only the standard library: it runs on the
controller.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

BYTES = 32
FORMS = {
    "seal.key": base64.urlsafe_b64encode,
    "session.key": bytes,
    "audit.key": lambda key: key.hex().encode(),
}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, form in FORMS.items():
        path = folder / name
        if path.exists():
            path.chmod(0o600)
            continue
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(form(secrets.token_bytes(BYTES)))
        print(name)


if __name__ == "__main__":
    main()
