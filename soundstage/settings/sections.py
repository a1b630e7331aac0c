"""The sections of the settings, one class each; the description of a field is its line in the reference."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, Field

from soundstage.errors import Unavailable
from soundstage.settings.secrets import SECRET

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_HOST_NAME = re.compile(r"[A-Za-z0-9.:_-]+")


def split_commas(value: Any) -> Any:
    """`"a, b"` becomes `["a", "b"]`, so that a list fits into one environment variable."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _check_hash(value: str) -> str:
    value = value.lower().removeprefix("sha256:")
    if not _SHA256_HEX.fullmatch(value):
        raise ValueError(
            "must be the SHA-256 of a key: 64 hex digits, as `printf %s KEY | sha256sum` prints them"
        )
    return value


def _check_host(value: str) -> str:
    if not _HOST_NAME.fullmatch(value):
        raise ValueError("must be a host name or an IP address, without scheme and port")
    return value


def read_key_file(path: Path) -> str:
    """The key in a file that holds nothing else; Unavailable when it cannot be had."""
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            "settings.key_file_unreadable",
            f"The key file {path} cannot be read.",
            "Check the path in the settings and the rights of the file.",
        ) from error
    if not key or not (key.isascii() and key.isprintable()):
        raise Unavailable(
            "settings.key_file_unreadable",
            f"The key file {path} holds no key.",
            "It should hold the key alone, on one line of ASCII.",
        )
    return key


def _check_network(value: str) -> str:
    try:
        return str(ip_network(value)) if "/" in value else str(ip_address(value))
    except ValueError as error:
        raise ValueError("must be IP addresses or networks like 10.0.0.0/24") from error


CommaList = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
KeyHashes = Annotated[tuple[Annotated[str, AfterValidator(_check_hash)], ...], BeforeValidator(split_commas)]
Host = Annotated[str, AfterValidator(_check_host)]
IpNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(_check_network)], ...], BeforeValidator(split_commas)
]
HttpUrls = Annotated[tuple[AnyHttpUrl, ...], BeforeValidator(split_commas)]
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


class Section(BaseModel, extra="forbid", frozen=True, str_strip_whitespace=True, validate_default=True):
    """Unknown keys are errors: a misspelt setting must not be silently without effect."""


class HttpSettings(Section):
    """Addresses and ports of the API and the page."""

    host: Host = Field(
        "127.0.0.1", description="address to listen on; anything but loopback is reachable by others"
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one")
    public_url: AnyHttpUrl | None = Field(
        None, description="how browsers reach it when a proxy stands in front, e.g. `https://studio.example`"
    )
    tls: Literal["off", "self"] = Field(
        "off",
        description="`self`: others reach it by https, with a certificate that an authority in `state_dir` "
        "signs; `soundstage up --tls` does the same",
    )
    tls_host: Host = Field("0.0.0.0", description="address on which the https port listens")  # noqa: S104
    tls_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="its TCP port; empty: 8443, or a free one when `http.port` is 0",
    )
    tls_names: CommaList = Field(
        (),
        description="names and addresses for the certificate, by commas, beside this machine's own",
    )
    cors_origins: CommaList = Field(
        (),
        description="origins of other pages that may call the API from a browser with an API key, and show a "
        "presenter who answers, by commas, e.g. `https://app.example`; cookies are never accepted from them",
    )
    trusted_proxies: IpNetworks = Field(
        (),
        description="addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are "
        "believed, by commas; for both processes",
    )


class DatabaseSettings(Section):
    """The database of projects, renders, keys and events."""

    url: str | None = Field(
        None,
        description="`sqlite:///path` or `postgresql://…`; empty: `soundstage.db` in `state_dir`",
    )
    busy_timeout_ms: int = Field(
        10_000, ge=0, le=600_000, description="how long a writer waits for another process (SQLite)"
    )


class BlobSettings(Section):
    """The store of pictures, sounds and videos."""

    url: str | None = Field(
        None, description="folder, `file:///path` or `s3://bucket/prefix`; empty: `blobs` in `state_dir`"
    )
    quota_mib: int | None = Field(
        None, ge=1, description="refuse to store more than this; empty: until the disk is full"
    )
    endpoint_url: AnyHttpUrl | None = Field(
        None, description="the S3 server, e.g. `https://s3.example`; empty: `AWS_ENDPOINT_URL`, else Amazon's"
    )
    replica_endpoint_urls: HttpUrls = Field(
        (), description="S3 servers that hold every file as well, with the same bucket and user, by commas"
    )
    region: str | None = Field(None, description="of the bucket; empty: `AWS_REGION`, else `us-east-1`")
    access_key_id: str | None = Field(
        None, description="who we are at the S3 server; empty: `AWS_ACCESS_KEY_ID`, else the machine's role"
    )
    secret_key_file: Path | None = Field(
        None, description="file that holds the secret access key; empty: `AWS_SECRET_ACCESS_KEY`"
    )
    ca_file: Path | None = Field(
        None,
        description="certificates that the S3 server's may be signed by, beside those of the system; read "
        "again when they change",
    )
    signed_urls: bool = Field(
        True,
        description="workers of a farm read and write an S3 bucket themselves, by signed addresses; without, "
        "their files pass through this server",
    )
    cache_mib: int = Field(
        20_480, ge=64, description="how much the local copies of what lies in a bucket may take"
    )

    def secret_key(self) -> str | None:
        """The secret access key; None when it comes from elsewhere."""
        return None if self.secret_key_file is None else read_key_file(self.secret_key_file)


class WorkerSettings(Section):
    """Settings of renders on this machine."""

    command: CommaList = Field(
        (),
        description="the avatar program and its first arguments; empty: this checkout's, else from PATH",
    )
    concurrency: int = Field(
        1, ge=1, le=64, description="segments made at the same time; each uses about two cores"
    )
    timeout_s: int = Field(3600, ge=10, description="a segment that takes longer is stopped and fails")
    cache_mib: int = Field(
        20_480, ge=0, description="how much the worker's cache of finished segments may take"
    )
    models_folder: Path | None = Field(
        None, description="where the weights of GPU engines lie; empty: `soundstage models where` tells"
    )


class AuthSettings(Section):
    """Settings of authentication."""

    api_key_hashes: KeyHashes = Field(
        (),
        description="SHA-256 of keys that act as admin, by commas; also `SOUNDSTAGE_API_KEY_HASHES`",
        json_schema_extra=SECRET,
    )
    scrape_key_hashes: KeyHashes = Field(
        (),
        description="SHA-256 of keys that may read the metrics and nothing else, by commas",
        json_schema_extra=SECRET,
    )
    plain_http: bool = Field(
        False,
        description="keys and logins are accepted over plain HTTP from other machines; who can listen on the "
        "network can then read them, so only for a closed one",
    )
    session_hours: int = Field(12, ge=1, le=24 * 90, description="how long a login of the page lasts")
    rotation_overlap_hours: int = Field(
        24, ge=0, le=24 * 90, description="how long a rotated key goes on working"
    )


class NomadSettings(Section):
    """Address and credentials of the Nomad servers."""

    address: AnyHttpUrl | None = Field(
        None, description="the API of a Nomad server; empty: `http://127.0.0.1:4646`"
    )
    region: str = Field("", description="region of the jobs; empty: that of the server")
    namespace: str = Field("default", description="namespace of the jobs")
    datacenters: CommaList = Field(("*",), description="where jobs may run, by commas")
    node_pool: str = Field("all", description="which nodes may run jobs")
    token_file: Path | None = Field(
        None, description="file that holds an ACL token; a token never stands in the settings"
    )
    ca_file: Path | None = Field(None, description="certificates that the server's must be signed by")
    client_cert_file: Path | None = Field(None, description="our own certificate, for mutual TLS")
    client_key_file: Path | None = Field(None, description="the key of our own certificate")
    job_prefix: str = Field(
        "soundstage",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="how our jobs' names begin; two installations on one Nomad need different ones",
    )
    driver: Literal["exec", "raw_exec", "docker"] = Field("exec", description="Nomad driver of the workers")
    command: str = Field("avatar", description="the avatar program on the nodes, with its path")
    cache_dir: str = Field(
        "",
        pattern=r"^(/[^\x00-\x1f]*)?$",
        description="a folder on the nodes where workers keep inputs for each other; empty: none is shared",
    )
    cache_volume: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,128}$",
        description="a host volume on all nodes for the same, where the driver shows workers no folder",
    )
    cache_mib: int = Field(10_240, ge=0, description="how much of earlier inputs is kept there")
    worker_volume: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,128}$",
        description="a host volume on all nodes that is their `/opt/soundstage` (worker, weights), where the "
        "driver shows workers no folder",
    )
    models_folder: str = Field(
        "",
        pattern=r"^(/[^\x00-\x1f]*)?$",
        description="where the weights of engines on cards lie on the nodes, as a worker sees it; empty: "
        "`/opt/soundstage/models`, where the role `models` puts them",
    )
    keep_hours: float = Field(
        24, ge=0.05, description="ended jobs are purged after this time; 0.1 is six minutes"
    )


class FarmSettings(Section):
    """The scheduler of segments."""

    scheduler: Literal["local", "nomad"] = Field(
        "local", description="`local`: on this machine; `nomad`: on the nodes of a Nomad cluster"
    )
    control_url: AnyHttpUrl | None = Field(
        None, description="how workers reach this server; empty: `http.public_url`, else where it listens"
    )
    other_control_urls: HttpUrls = Field(
        (), description="how workers reach the other servers on this database, when this one does not answer"
    )
    max_running: int = Field(64, ge=1, description="most segments that are on the farm at the same time")
    nomad: NomadSettings = Field(default_factory=NomadSettings, description="the Nomad cluster")


class MonitoringSettings(Section):
    """The Alertmanager whose alerts belong to the health of the installation."""

    alertmanager_url: AnyHttpUrl | None = Field(
        None, description="e.g. `http://127.0.0.1:9093`; empty: nobody is asked for alerts"
    )
    ca_file: Path | None = Field(None, description="certificates that its own must be signed by")
    client_cert_file: Path | None = Field(None, description="our own certificate for it, for mutual TLS")
    client_key_file: Path | None = Field(None, description="the key of our own certificate")


class LimitSettings(Section):
    """Limits of requests."""

    upload_mib: int = Field(2048, ge=1, description="largest file that can be uploaded")
    vrm_mib: int = Field(100, ge=1, description="largest VRM avatar, which browsers load whole")
    body_kib: int = Field(2048, ge=16, description="largest JSON body")
    script_chars: int = Field(100_000, ge=100, description="longest script of one scene")
    scenes: int = Field(200, ge=1, description="most scenes in one project")
    queued_renders: int = Field(500, ge=1, description="most renders that wait at the same time")
    idempotency_hours: int = Field(
        24, ge=1, le=24 * 30, description="how long an `Idempotency-Key` is remembered"
    )


class RetentionSettings(Section):
    """Retention times, applied by `soundstage gc`; that of the trash by the server."""

    render_days: int | None = Field(
        None, ge=1, description="finished renders older than this go; empty: they stay"
    )
    trash_days: int | None = Field(
        30, ge=1, description="what is in the trash is deleted after this time; empty: it stays"
    )
    unused_blob_hours: int = Field(24, ge=1, description="files that nothing refers to go after this time")
    event_days: int | None = Field(
        90, ge=1, description="events older than this go, those of unfinished renders never; empty: they stay"
    )


class EventSettings(Section):
    """Settings of event streams."""

    poll_ms: int = Field(
        250, ge=20, le=60_000, description="how often other processes' events are looked for"
    )
    heartbeat_s: float = Field(
        15.0, ge=1, le=300, description="silence after which a stream sends a sign of life"
    )


class LogSettings(Section):
    """Settings of the log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is written"
    )
    format: Literal["console", "json"] = Field(
        "console", description="`console` for people, `json` for machines"
    )
    journal: bool = Field(
        False, description="send lines to the journal of this machine, too; for tasks of Nomad on a farm"
    )


class Keyed(Section):
    """A service that may want a key, which lies in a file of its own."""

    api_key_file: Path | None = Field(
        None, description="file that holds the key; a key never stands in the settings"
    )

    def api_key(self) -> str | None:
        """The key, read now, so that a changed file counts at once; None when none is configured."""
        return None if self.api_key_file is None else read_key_file(self.api_key_file)


ToolChoice = Literal["auto", "required", "none"]
Effort = Literal["none", "low", "medium", "high"]
StructuredOutput = Literal["tool", "json_schema"]


class LlmSettings(Keyed):
    """An OpenAI-compatible server."""

    base_url: AnyHttpUrl | None = Field(None, description="up to and including `/v1`; empty: not used")
    model: str = Field("", description="name of the model, as the server knows it")
    timeout_s: float = Field(60.0, gt=0, description="longest wait for an answer")
    vision: bool = Field(False, description="the model takes pictures, and may be asked what one shows")
    vision_unasked: bool = Field(
        False,
        description="it gets every picture that is described, also without a request for its text; "
        "a model on this machine does anyway",
    )
    family: str = Field(
        "", description="whose preset is used, such as `qwen3`; empty: the one that fits the model's name"
    )
    temperature: float | None = Field(None, ge=0, le=2, description="empty: as the preset says")
    tool_choice: ToolChoice | None = Field(
        None, description="whether it must call tools; empty: the preset's"
    )
    parallel_calls: bool | None = Field(
        None, description="whether one answer may hold several tool calls; empty: the preset's"
    )
    effort: Effort | None = Field(None, description="how much it thinks; empty: as the preset says")
    context_tokens: int | None = Field(
        None, ge=512, description="longest request and answer; with Ollama its `num_ctx`; empty: the preset's"
    )
    structured_output: StructuredOutput | None = Field(
        None, description="how scripts are asked for: `tool`, `json_schema`; empty: the preset's"
    )
    return_thoughts: bool | None = Field(
        None, description="its thoughts go back to it between the calls of an answer; empty: the preset's"
    )


class LlmsSettings(Section):
    """Language models; without one the sentence grammar is used."""

    local: LlmSettings = Field(
        default_factory=LlmSettings, description="on this machine or the farm: llama.cpp, Ollama"
    )
    cloud: LlmSettings = Field(default_factory=LlmSettings, description="elsewhere")
    prefer: Literal["local", "cloud", "none"] = Field(
        "local", description="which is asked first; `none` asks neither"
    )


class ServiceSettings(Keyed):
    """An HTTP service that the pipeline or the agent may call."""

    base_url: AnyHttpUrl | None = Field(None, description="empty: not used")
    model: str = Field("", description="name of the model, where the service has several")
    voice: str = Field("", description="voice name or `voice_id`, for speech services")
    timeout_s: float = Field(120.0, gt=0, description="longest wait for an answer")


class ServicesSettings(Section):
    """Services beside the embedded engines; all optional."""

    tts_openai: ServiceSettings = Field(
        default_factory=ServiceSettings, description="any server with `/v1/audio/speech`"
    )
    tts_qwen: ServiceSettings = Field(
        default_factory=ServiceSettings, description="Qwen3-TTS style: `voice_id` in, WAV out"
    )
