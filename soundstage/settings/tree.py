"""The root of the settings; made by `load_settings`, handed to the rooms by the composition root."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from soundstage.settings.conversation import (
    AgentSettings,
    ExpertSettings,
    TranscriptionSettings,
    VoiceSettings,
)
from soundstage.settings.origins import SettingOrigins
from soundstage.settings.outgoing import DownloadSettings, WebhookSettings, YoutubeSettings
from soundstage.settings.policy import PolicySettings
from soundstage.settings.provisioning import ProvisioningSettings
from soundstage.settings.sealing import SealingSettings
from soundstage.settings.secrets import is_secret, mask_value
from soundstage.settings.sections import (
    AuthSettings,
    BlobSettings,
    DatabaseSettings,
    EventSettings,
    FarmSettings,
    HttpSettings,
    LimitSettings,
    LlmsSettings,
    LogSettings,
    MonitoringSettings,
    RetentionSettings,
    ServicesSettings,
    WorkerSettings,
)
from soundstage.telemetry.masking import MASK


class Settings(BaseModel):
    """Every setting with its default. `Settings()` reads no file and no variable; `load_settings` does."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    state_dir: Path = Field(Path("state"), description="database, files and keys; must survive a restart")
    out_dir: Path = Field(Path("out"), description="where finished videos are put for people")
    personas_dir: Path | None = Field(
        None, description="one YAML file per persona; empty: `personas` here, else this checkout's"
    )

    http: HttpSettings = Field(default_factory=HttpSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    blobs: BlobSettings = Field(default_factory=BlobSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    farm: FarmSettings = Field(default_factory=FarmSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    events: EventSettings = Field(default_factory=EventSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    llm: LlmsSettings = Field(default_factory=LlmsSettings)
    agent: AgentSettings = Field(default_factory=AgentSettings)
    voice: VoiceSettings = Field(default_factory=VoiceSettings)
    transcription: TranscriptionSettings = Field(default_factory=TranscriptionSettings)
    experts: ExpertSettings = Field(default_factory=ExpertSettings)
    services: ServicesSettings = Field(default_factory=ServicesSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    downloads: DownloadSettings = Field(default_factory=DownloadSettings)
    youtube: YoutubeSettings = Field(default_factory=YoutubeSettings)
    provisioning: ProvisioningSettings = Field(default_factory=ProvisioningSettings)
    sealing: SealingSettings = Field(default_factory=SealingSettings)

    _origins: SettingOrigins = PrivateAttr(default_factory=SettingOrigins)

    @property
    def origins(self) -> SettingOrigins:
        """Returns where the values were written; empty for settings that nobody has loaded."""
        return self._origins

    def with_origins(self, origins: SettingOrigins) -> Self:
        """Returns the same settings, which tell from now on where their values were written."""
        self._origins = origins
        return self

    @property
    def personas_folder(self) -> Path:
        """`personas_dir`, or `personas` in the current folder, or that of the checkout we run from."""
        here, beside = Path("personas"), Path(__file__).resolve().parents[2] / "personas"
        chosen = self.personas_dir or (beside if beside.is_dir() and not here.is_dir() else here)
        return chosen.absolute()

    @property
    def database_url(self) -> str:
        """`database.url`, or the SQLite file in `state_dir`."""
        return self.database.url or f"sqlite:///{(self.state_dir / 'soundstage.db').absolute()}"

    @property
    def blobs_url(self) -> str:
        """`blobs.url`, or the folder in `state_dir`."""
        return self.blobs.url or str((self.state_dir / "blobs").absolute())

    @property
    def provisioning_database_url(self) -> str:
        """`provisioning.database_url`, or the SQLite file in `state_dir`."""
        beside = (self.state_dir / "provisioning" / "provisioning.db").absolute()
        return self.provisioning.database_url or f"sqlite:///{beside}"

    @property
    def playbooks_folder(self) -> Path:
        """`provisioning.project_dir`, or the current folder if the playbook is there, else this
        checkout's.
        """
        here, beside = Path(), Path(__file__).resolve().parents[2]
        found = here if (here / self.provisioning.playbook).is_file() else beside
        return (self.provisioning.project_dir or found).absolute()

    @property
    def inventory_path(self) -> Path:
        """`provisioning.inventory_file`, or the file in `state_dir`."""
        beside = self.state_dir / "inventory" / "soundstage.json"
        return (self.provisioning.inventory_file or beside).absolute()

    @property
    def artefacts_folder(self) -> Path:
        """`provisioning.artefact_dir`, or the folder in `state_dir`."""
        return (self.provisioning.artefact_dir or self.state_dir / "provisioning" / "artefacts").absolute()

    @property
    def provisioning_port(self) -> int:
        """`provisioning.port`; a free one where the studio takes a free one too."""
        chosen = self.provisioning.port
        return (8001 if self.http.port else 0) if chosen is None else chosen

    @property
    def provisioning_tls_port(self) -> int:
        """`provisioning.tls_port`; a free one where the studio takes a free one too."""
        chosen = self.provisioning.tls_port
        return (8002 if self.http.port else 0) if chosen is None else chosen

    @property
    def https_port(self) -> int:
        """`http.tls_port`; a free one where plain HTTP takes a free one too."""
        chosen = self.http.tls_port
        return (8443 if self.http.port else 0) if chosen is None else chosen

    @property
    def bound_to_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        if self.http.host == "localhost":
            return True
        try:
            return ip_address(self.http.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def mask_secrets(self) -> dict[str, Any]:
        """All settings as plain data to print: no hashes, no passwords in URLs."""
        return _masked(self)


def _masked(section: BaseModel) -> dict[str, Any]:
    return {
        name: MASK if is_secret(field) and getattr(section, name) else _masked_value(getattr(section, name))
        for name, field in type(section).model_fields.items()
    }


def _masked_value(value: object) -> Any:
    if isinstance(value, BaseModel):
        return _masked(value)
    if isinstance(value, dict):
        return {name: _masked_value(one) for name, one in value.items()}
    return mask_value(value)
