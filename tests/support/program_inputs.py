"""Lists what tests that start the programs as users do read beside what they import; for the mark `cached`.

`make test-long` compares it with the files that are really opened (tests/support/cached_results.py).
"""

from __future__ import annotations

# Packages with their locks, the worker, jobs, presenters, and the engines with their patches.
PROGRAM = (
    *("pyproject.toml", "uv.lock", "soundstage", "policy", "studio", "provisioning_api", "farm", "agent"),
    *("app", "jobs", "avatar", "personas", "tools", "pxe"),
)
