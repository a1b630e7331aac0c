"""Writes the tables of permissions, roles and key states out of their declarations, for the docs."""

from __future__ import annotations

from policy.keys.states import TRANSITIONS
from policy.permissions import PERMISSIONS
from policy.roles import roles


def policy_reference() -> str:
    """Markdown: who may do what, and how an API key lives."""
    table = roles()
    lines = ["## Roles", "", "| role | inherits | sentence |", "|---|---|---|"]
    lines += [f"| `{role.name}` | {role.inherits or ''} | {role.sentence} |" for role in table.values()]
    lines += [
        "",
        "## Permissions",
        "",
        f"| permission | allows | {' | '.join(table)} |",
        "|---|---" + "|---" * len(table) + "|",
    ]
    for known in PERMISSIONS:
        marks = " | ".join("yes" if known.name in role.permissions else "" for role in table.values())
        lines.append(f"| `{known.name}` | {known.allows} | {marks} |")
    lines += ["", "## The life of an API key", "", "| from | to |", "|---|---|"]
    for state, following in TRANSITIONS.items():
        lines.append(f"| {state} | {', '.join(sorted(following)) or 'nothing'} |")
    return "\n".join(lines) + "\n"
