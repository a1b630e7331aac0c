"""All settings: a TOML file, then `SOUNDSTAGE_*` variables, each value checked and explained."""

from soundstage.settings.load import check_settings, load_settings
from soundstage.settings.outgoing import YoutubeSettings
from soundstage.settings.policy import PolicySettings
from soundstage.settings.problems import SettingProblem
from soundstage.settings.sections import LimitSettings
from soundstage.settings.tree import Settings

__all__ = [
    "LimitSettings",
    "PolicySettings",
    "SettingProblem",
    "Settings",
    "YoutubeSettings",
    "check_settings",
    "load_settings",
]
