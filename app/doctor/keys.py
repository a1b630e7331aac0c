"""Checks how the private keys are sealed, and that they open."""

from __future__ import annotations

from soundstage.errors import SoundstageError
from soundstage.health import Check, amber, green, red
from soundstage.key_sealing import check_keys, inspect_keys
from soundstage.settings import Settings


def examine_keys(settings: Settings) -> Check:
    """Says what is sealed by what. Red where keys do not open, amber where some lie open against the
    settings.
    """
    state_dir = settings.state_dir.absolute()
    try:
        found = inspect_keys(state_dir)
        check_keys(state_dir, settings.sealing)
    except SoundstageError as error:
        return red("private keys", error.message, error.hint, error.code)
    except OSError as error:
        return red("private keys", str(error), "`state_dir` has to belong to the user who runs soundstage.")
    if found.opens_with:
        plain = f"; not sealed: {', '.join(found.plain)}" if found.plain else ""
        summary = (
            f"{len(found.sealed)} open with {' and '.join(found.opens_with)}, and with nothing else{plain}"
        )
    else:
        summary = f"{len(found.plain)} files, not sealed: who copies {state_dir} has them"
    if found.plain and settings.sealing.method != "none":
        return amber(
            "private keys", summary, "Stop the server and run `soundstage seal`.", "sealing.plain_keys"
        )
    return green("private keys", summary)
