"""Expected failures of the control side, and how they leave it over HTTP (RFC 9457).

    SoundstageError
    ├── Invalid        422  the request cannot be used as it is
    ├── Unauthorized   401  the request is not authenticated
    ├── Forbidden      403  the caller is authenticated, and may not do this
    ├── NotFound       404
    ├── Conflict       409  the state of the thing forbids it now
    ├── TooLarge       413
    ├── TooManyRequests 429 the caller asks more often than it may
    ├── Upstream       502  a service that we called failed
    ├── Unavailable    503  something that this step needs is missing or busy; trying later may help
    └── StorageFull    507

A code is made where it is raised: `raise NotFound("project.not_found", f"…", "…")`. `scripts/error_codes.py`
reads the codes out of the sources, so that the page of error codes cannot miss one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundstage.errors.tree import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    SoundstageError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Upstream,
)

if TYPE_CHECKING:
    from soundstage.errors.problems import (
        install_error_handlers,
        internal_error,
        problem_of,
        problem_response,
    )

__all__ = [
    "Conflict",
    "Forbidden",
    "Invalid",
    "NotFound",
    "SoundstageError",
    "StorageFull",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Upstream",
    "install_error_handlers",
    "internal_error",
    "problem_of",
    "problem_response",
]


def __getattr__(name: str) -> Any:
    """Returns what answers over HTTP is loaded at its first use: it brings the web framework, which a program
    that only raises errors does without.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from soundstage.errors import problems

    return getattr(problems, name)
