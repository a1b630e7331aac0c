"""The time zone of this machine, in which people say times of day."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@cache
def local_zone() -> str:
    """Returns the name of the zone: that of `TZ`, else of /etc/localtime, else UTC."""
    names = [os.environ.get("TZ", "")]
    if (link := Path("/etc/localtime")).is_symlink():
        names.append(str(link.resolve()).rpartition("zoneinfo/")[2])
    for name in names:
        try:
            if name:
                return ZoneInfo(name.removeprefix(":")).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
