# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that modules and action plugins have in common."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "str", "required": True}
PATH: dict[str, Any] = {"type": "path", "required": True}
TEXTS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
PATHS: dict[str, Any] = {"type": "list", "elements": "path", "default": []}


def dicts(*, required: bool = False, **options: dict[str, Any]) -> dict[str, Any]:
    """Returns the spec of a list of dictionaries with these options; without `required` it may be empty."""
    presence: dict[str, Any] = {"required": True} if required else {"default": []}
    return {"type": "list", "elements": "dict", **presence, "options": options}
