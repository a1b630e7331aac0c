"""All settings: a TOML file, then `SOUNDSTAGE_*` variables, each value checked and explained."""

from soundstage.settings.load import check_settings, load_settings
from soundstage.settings.outgoing import WebhookSettings, YoutubeSettings
from soundstage.settings.policy import PolicySettings
from soundstage.settings.problems import SettingProblem
from soundstage.settings.provisioning import ProvisioningSettings
from soundstage.settings.sections import (
    AuthSettings,
    BlobSettings,
    DatabaseSettings,
    EventSettings,
    HttpSettings,
    LimitSettings,
    LlmSettings,
    LlmsSettings,
    LogSettings,
    RetentionSettings,
    ServiceSettings,
    ServicesSettings,
    WorkerSettings,
)
from soundstage.settings.tree import Settings

__all__ = [
    "AuthSettings",
    "BlobSettings",
    "DatabaseSettings",
    "EventSettings",
    "HttpSettings",
    "LimitSettings",
    "LlmSettings",
    "LlmsSettings",
    "LogSettings",
    "PolicySettings",
    "ProvisioningSettings",
    "RetentionSettings",
    "ServiceSettings",
    "ServicesSettings",
    "SettingProblem",
    "Settings",
    "WebhookSettings",
    "WorkerSettings",
    "YoutubeSettings",
    "check_settings",
    "load_settings",
]
