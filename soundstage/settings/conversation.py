"""The sections of the conversation: what one answer may take, and language models found in Consul."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, AnyUrl, Field, SecretStr, StringConstraints, model_validator

from soundstage.settings.secrets import SECRET
from soundstage.settings.sections import CommaList, Keyed, Section, read_key_file

SectionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]


class McpServerSettings(Section):
    """An MCP server whose tools the agent may call, once `soundstage mcp-servers allow NAME` has run."""

    command: str = Field("", description="program that speaks MCP over its pipes; empty: `url` is called")
    args: tuple[str, ...] = Field((), description="its arguments", json_schema_extra=SECRET)
    env: dict[str, SecretStr] = Field(
        default_factory=dict, description="variables for it, beside PATH, HOME and a few others"
    )
    env_files: dict[str, Path] = Field(
        default_factory=dict, description="variables for it whose values are the contents of files, as keys"
    )
    url: AnyHttpUrl | None = Field(None, description="endpoint of a server over streamable HTTP")
    token_file: Path | None = Field(None, description="file that holds the bearer token for `url`")
    tools: CommaList = Field((), description="tools of it that may be allowed, by commas; empty: all")
    effect: Literal["read", "write", "destructive"] = Field(
        "write",
        description="what its tools do: `read` is called unasked with words of the person, `write` when a "
        "person has confirmed the call, `destructive` when people have approved it",
    )
    permission: str = Field("mcp:call", description="permission that callers of its tools need")
    timeout_s: float = Field(60.0, gt=0, le=3600, description="longest wait for an answer")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == (self.url is not None):
            raise ValueError("either `command` or `url` must be set, and not both")
        return self

    def environment(self) -> dict[str, str]:
        """The variables with their values, files read now. Raises `settings.key_file_unreadable`."""
        plain = {name: value.get_secret_value() for name, value in self.env.items()}
        return plain | {name: read_key_file(path) for name, path in self.env_files.items()}

    def token(self) -> str | None:
        """The bearer token, read now; None when none is configured."""
        return None if self.token_file is None else read_key_file(self.token_file)


class AgentSettings(Section):
    """Sets how the agent reads sentences, and limits of its answers by a language model."""

    encoder: bool = Field(
        True,
        description="read sentences with the trained sentence model, too (extra `memory`), see "
        "[how a sentence is understood](conversation.md#how-a-sentence-is-understood)",
    )
    turn_calls: int = Field(12, ge=1, le=100, description="how often the model is asked, tools included")
    turn_s: float = Field(120.0, gt=0, le=3600, description="how long the model may take in all")
    turn_tokens: int = Field(100_000, ge=100, description="how many tokens may go to and come from the model")
    mcp_servers: dict[SectionName, McpServerSettings] = Field(
        default_factory=dict,
        description="MCP servers whose tools the agent may call, a section each: `[agent.mcp_servers.NAME]`",
    )


class LiveKitSettings(Section):
    """A LiveKit server for voice sessions in rooms."""

    serve: bool = Field(False, description="whether `soundstage up` runs a LiveKit server on this machine")
    url: AnyUrl | None = Field(
        None, description="how people and voice workers reach it, e.g. `wss://livekit.example`"
    )
    api_url: AnyHttpUrl | None = Field(None, description="where this server calls it; empty: as `url`")
    key_file: Path | None = Field(
        None, description="file with `KEY: SECRET` of it; empty: those of `soundstage voice keys`"
    )
    program: Path | None = Field(
        None, description="for `serve`: the program; empty: `livekit-server` on PATH, else of `tools/build`"
    )
    host: str = Field("127.0.0.1", description="for `serve`: the address on which it listens")
    port: int = Field(7880, ge=1, le=65535, description="for `serve`: its port for HTTP and WebSockets")
    tcp_port: int = Field(7881, ge=1, le=65535, description="for `serve`: its TCP port for sound")
    udp_port: int = Field(7882, ge=1, le=65535, description="for `serve`: its UDP port for sound")

    @model_validator(mode="after")
    def _web_socket(self) -> Self:
        if self.url is not None and self.url.scheme not in ("ws", "wss", "http", "https"):
            raise ValueError("`url` begins with ws:// or wss://")
        return self

    @property
    def reached_at(self) -> str:
        """Returns the address for participants; empty where none is used."""
        if self.url is not None:
            return str(self.url).rstrip("/")
        return f"ws://{self.host}:{self.port}" if self.serve else ""

    @property
    def called_at(self) -> str:
        """Returns the address of its API."""
        return str(self.api_url or "").rstrip("/") or self.reached_at.replace("ws", "http", 1)

    def key(self) -> str | None:
        """The content of `key_file`, read now; None when none is configured."""
        return None if self.key_file is None else read_key_file(self.key_file)


class BroadcastTarget(Section):
    """A target of broadcasts, a section each: `[voice.broadcasts.NAME]`."""

    url: str = Field(
        pattern=r"^(rtmps?://\S+|/\S*\.m3u8)$",
        description="`rtmp://` or `rtmps://`, or on the machine of the voice worker the path of a playlist "
        "(HLS) that ends with `.m3u8`",
    )
    key_file: Path | None = Field(None, description="file with the stream key, which ends the URL")
    tenants: CommaList = Field(("default",), description="tenants that may broadcast to it, by commas")

    def address(self) -> str:
        """Returns the URL with the key, read now. Raises `settings.key_file`."""
        if self.key_file is None:
            return self.url
        return f"{self.url.rstrip('/')}/{read_key_file(self.key_file)}"


class VoiceSettings(Section):
    """Talking to the agent by voice."""

    transport: Literal["websocket", "livekit", "webrtc"] = Field(
        "websocket", description="transport of sessions that ask for none"
    )
    stun_servers: CommaList = Field(
        (), description="STUN servers for the transport `webrtc`, by commas, e.g. `stun:stun.example:3478`"
    )
    livekit: LiveKitSettings = Field(default_factory=LiveKitSettings)
    broadcasts: dict[SectionName, BroadcastTarget] = Field(
        default_factory=dict, description="targets of broadcasts, by name"
    )
    video_height: int = Field(
        720,
        ge=180,
        le=1080,
        multiple_of=36,
        description="lines of a presenter who comes as a video, 16:9; 720 take half a core per session",
    )
    max_videos: int = Field(
        8, ge=0, le=200, description="most presenters as videos at a time; a broadcast is one, too"
    )
    enabled: bool = Field(
        True,
        description="whether `soundstage up` starts a voice worker, where the extra `voice` is installed",
    )


class TranscriptionSettings(Keyed):
    """Recognising free speech: answers by voice that are no command, recordings, captions."""

    recogniser: Literal["embedded", "openai", "whisper", "none"] = Field(
        "embedded",
        description="`embedded`: pocketsphinx, of the extra `voice`, English; `openai`: a server with "
        "`/v1/audio/transcriptions`; `whisper`: faster-whisper, of the extra `whisper`; `none`: nothing",
    )
    base_url: AnyHttpUrl | None = Field(None, description="for `openai`: up to and including `/v1`")
    model: str = Field("whisper-1", description="for `openai`: name of the model, as the server knows it")
    model_dir: Path | None = Field(
        None, description="for `whisper`: folder with a Whisper model in the format of CTranslate2"
    )
    language: str = Field(
        "", max_length=12, description="language of recordings that name none, such as `en`; empty: unknown"
    )
    timeout_s: float = Field(600.0, gt=0, description="longest wait for the words of a sound")


class ExpertSettings(Keyed):
    """Language models that register themselves in Consul; asked before those under `[llm]`."""

    consul_url: AnyHttpUrl | None = Field(
        None, description="a Consul agent, e.g. `http://127.0.0.1:8500`; empty: none are looked for"
    )
    consul_token_file: Path | None = Field(
        None, description="file that holds an ACL token that may read services"
    )
    consul_ca_file: Path | None = Field(None, description="certificates that Consul's must be signed by")
    consul_client_cert_file: Path | None = Field(
        None, description="our own certificate for Consul, for mutual TLS"
    )
    consul_client_key_file: Path | None = Field(None, description="the key of that certificate")
    tag: str = Field(
        "llm-expert*",
        min_length=1,
        max_length=100,
        description="services with such a tag are experts; `*` stands for anything",
    )
    refresh_s: float = Field(10.0, gt=0, le=3600, description="how often Consul is asked")
    timeout_s: float = Field(30.0, gt=0, description="longest wait for an expert to go on")

    def consul_token(self) -> str | None:
        """The token, read now; None when none is configured."""
        return None if self.consul_token_file is None else read_key_file(self.consul_token_file)
