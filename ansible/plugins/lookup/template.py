# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a template of a role, or the one that the operator has put in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: template
short_description: Render a template of a role or of the operator
description:
  - Renders C(ROLE/FILE) from the operator's folder when it is there, and the role's own C(templates/FILE)
    otherwise; a file by its absolute path as it is. Other arguments go to C(ansible.builtin.template).
  - Fails when the operator's folder has a file that replaces no template.
options:
  _terms:
    description: Templates as C(ROLE/FILE), such as C(nomad/nomad.hcl.j2), or absolute paths.
    required: true
  overrides:
    description: The operator's folder; none when empty.
    type: str
    default: ""
    vars:
      - name: farm__templates
author: Soundstage
"""


class _Variables(dict[str, Any]):
    """Variables that a template reads. Ansible copies all of a farm's deeply for each template, which took
    two thirds of a role's time; it hands templates proxies of them, so a shallow copy is as safe.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)


class LookupModule(LookupBase):
    """Chooses between the operator's file and the role's, and lets Ansible render it."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        overrides = self._overrides()
        files = [
            term if term.startswith("/") else overrides.get(term) or term.partition("/")[2] for term in terms
        ]
        kwargs.pop("overrides", None)
        template = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        rendered: list[str] = template.run(files, variables=_Variables(variables or {}), **kwargs)
        return rendered

    def _overrides(self) -> dict[str, str]:
        """Returns the operator's files by `ROLE/FILE`.

        Raises `AnsibleLookupError` when the folder is missing or holds a file that replaces no template.
        """
        configured = self.get_option("overrides")
        if not configured:
            return {}
        folder = Path(configured).expanduser()
        if not folder.is_dir():
            raise AnsibleLookupError(f"farm__templates: there is no folder {folder}")
        found = {str(file.relative_to(folder)): str(file) for file in folder.rglob("*.j2")}
        known = templates_of_roles()
        if unknown := sorted(found.keys() - known):
            role = unknown[0].partition("/")[0]
            near = sorted(name for name in known if name.startswith(f"{role}/")) or sorted(known)
            raise AnsibleLookupError(
                f"farm__templates: {folder / unknown[0]} replaces no template. There are: {', '.join(near)}"
            )
        return found


def templates_of_roles() -> set[str]:
    """Returns all templates that an operator may replace, as `ROLE/FILE`."""
    roles = Path(__file__).resolve().parents[2] / "roles"
    return {f"{file.parent.parent.name}/{file.name}" for file in roles.glob("*/templates/*.j2")}
