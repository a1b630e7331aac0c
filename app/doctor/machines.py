"""What the doctor says of the way to the provisioning API, where one is set up."""

from __future__ import annotations

from app.agents_key import look_at_key
from app.doctor.check import Check, amber, green, red
from soundstage.errors import SoundstageError, Unavailable
from soundstage.settings import Settings


async def machines(settings: Settings) -> list[Check]:
    """None where no key is set: then it is asked as the user of this machine."""
    if settings.provisioning.api_key_file is None:
        return []
    try:
        await look_at_key(settings)
    except Unavailable as error:
        return [amber("machines", error.message, error.hint)]
    except SoundstageError as error:
        return [red("machines", error.message, error.hint)]
    return [green("machines", "the provisioning API answers, and its key may act for people")]
