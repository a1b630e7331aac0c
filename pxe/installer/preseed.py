"""Writes the preseed of one machine; called by the provisioning API when the deploy agent asks for it.

It holds no secret: whoever is on the boot network may read it. What makes the machine a member the agent has
got over TLS, and puts beside it into the installer's memory.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pxe.image.recipe import PACKAGES
from pxe.installer.plan import InstallPlan

TEMPLATES = Path(__file__).parent / "templates"
# The installer brings these itself, or chooses better.
_LEFT_OUT = {"systemd", "systemd-sysv", "udev", "initramfs-tools", "e2fsprogs"}


def render_preseed(plan: InstallPlan) -> str:
    """Renders the file for `preseed/url`, with the same packages as an image has."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  no page; the plan lets in what stays one word
    )
    packages = [one for one in (*PACKAGES, *plan.settings.packages) if one not in _LEFT_OUT]
    return environment.get_template("preseed.cfg.j2").render(
        plan=plan.model_dump(mode="json"), packages=list(dict.fromkeys(packages))
    )
