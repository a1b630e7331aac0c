"""Where Debian packages come from: the mirror that this computer's own apt uses (called by `root_tree` and
`up`).

Nothing of it is written into a machine: machines ask for deb.debian.org, and the package proxy asks the
mirror.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass

from lab.programs import run_program

PUBLIC = "http://deb.debian.org/debian"
PUBLIC_SECURITY = "http://deb.debian.org/debian-security"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Two addresses, and the HTTP proxy that this computer's apt goes through (or an empty text)."""

    main: str = PUBLIC
    security: str = PUBLIC_SECURITY
    http_proxy: str = ""

    def addresses(self) -> dict[str, str]:
        """What machines ask for: where it really is."""
        return {
            PUBLIC: self.main,
            PUBLIC_SECURITY: self.security,
            "http://security.debian.org/debian-security": self.security,
        }


def mirror_of_this_computer() -> Mirror:
    """Out of apt's configuration, or the public mirror where there is no apt, or one of another
    distribution."""
    if shutil.which("apt-get") is None:
        return Mirror(http_proxy=_environment_proxy())
    targets = run_program(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)", "Created-By: Packages"],
        doing="Reading apt's configuration",
    )
    debian = [
        uri.rstrip("/") for uri in targets.split() if re.fullmatch(r"https?://.*/debian(-security)?/?", uri)
    ]
    main = next((uri for uri in debian if uri.endswith("/debian")), PUBLIC)
    security = next((uri for uri in debian if uri.endswith("/debian-security")), PUBLIC_SECURITY)
    return Mirror(main, security, _apt_proxy() or _environment_proxy())


def _apt_proxy() -> str:
    line = run_program(
        ["apt-config", "shell", "proxy", "Acquire::http::Proxy"], doing="Reading apt's configuration"
    ).strip()
    proxy = line.removeprefix("proxy='").removesuffix("'")
    return proxy if re.match(r"https?://", proxy) else ""


def _environment_proxy() -> str:
    return os.environ.get("http_proxy", "")
