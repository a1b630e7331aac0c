"""The sections of what leaves the installation: webhooks, publishing, and files fetched by URL."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, Field

from soundstage.settings.sections import Section

# Chunks of a resumable upload are multiples of this (developers.google.com/youtube/v3/guides).
CHUNK_STEP_KIB = 256


def is_loopback_host(host: str) -> bool:
    """Returns whether a host name or address of a URL means this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_secure(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.scheme != "https" and not is_loopback_host(url.host or ""):
        raise ValueError("must begin with https://, because tokens travel there")
    return url


def _check_chunk(kib: int) -> int:
    if kib % CHUNK_STEP_KIB:
        raise ValueError(f"must be a multiple of {CHUNK_STEP_KIB}")
    return kib


SecureUrl = Annotated[AnyHttpUrl, AfterValidator(_check_secure)]


class WebhookSettings(Section):
    """Other programs that are told what happens."""

    private_addresses: bool = Field(
        False, description="webhooks may lead into private networks; otherwise such addresses are refused"
    )
    loopback: bool = Field(
        False, description="webhooks may lead to this machine, never to a port of Soundstage itself"
    )
    timeout_s: float = Field(15.0, gt=0, le=120, description="longest wait for a receiver's answer")
    answer_bodies: bool = Field(
        False,
        description="the log of deliveries keeps the beginning of each answer, and the webhook's owner sees "
        "it; otherwise status and time alone",
    )
    keep_days: int = Field(30, ge=1, description="how long the log of deliveries is kept")


class DownloadSettings(Section):
    """Files that jobs (`POST /api/worker/run`) and imports (`POST /api/imports`) name by URL."""

    private_addresses: bool = Field(
        False, description="files may come from private networks; otherwise such addresses are refused"
    )
    loopback: bool = Field(
        False, description="files may come from this machine, never from a port of Soundstage itself"
    )
    timeout_s: float = Field(
        600.0,
        gt=0,
        le=3600,
        description="longest time that the file of a job may take; a document to import has a minute",
    )


class YoutubeSettings(Section):
    """Publishing on YouTube; nothing is published before `client_id` is set and an account is connected."""

    client_id: str = Field("", description="of an OAuth client of the kind desktop app; empty: not used")
    client_secret_file: Path | None = Field(None, description="file that holds the secret of the client")
    api_url: SecureUrl = Field(
        AnyHttpUrl("https://www.googleapis.com"), description="where the YouTube Data API answers"
    )
    consent_url: SecureUrl = Field(
        AnyHttpUrl("https://accounts.google.com/o/oauth2/v2/auth"),
        description="the page on which the owner of a channel agrees",
    )
    token_url: SecureUrl = Field(
        AnyHttpUrl("https://oauth2.googleapis.com/token"), description="where tokens are given out"
    )
    revoke_url: SecureUrl = Field(
        AnyHttpUrl("https://oauth2.googleapis.com/revoke"), description="where tokens are given back"
    )
    chunk_kib: Annotated[int, AfterValidator(_check_chunk)] = Field(
        8192, ge=256, le=256 * 1024, description="size of one piece of an upload; a multiple of 256"
    )
    timeout_s: float = Field(60.0, gt=0, description="longest wait for one answer")
    quota_units: int = Field(
        10_000, ge=0, description="units that we may use per day, as the Google Cloud console shows them"
    )
    upload_units: int = Field(1600, ge=0, description="units that the upload of a video costs")
    caption_units: int = Field(400, ge=0, description="units that the upload of captions costs")
    thumbnail_units: int = Field(50, ge=0, description="units that setting a thumbnail costs")
