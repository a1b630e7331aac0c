"""Webhooks and publications, which leave the installation, with the workers that send them.

`async with studio.outgoing:` in the server; commands only write rows, and the server carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from soundstage.background import ItemWorker
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.database.tenants import tenant_bypass_context
from soundstage.events import EventStore
from soundstage.http import Destinations, own_listeners
from soundstage.http.addresses import LOOPBACK_NETWORKS, networks_of
from soundstage.sealing import Sealer
from soundstage.settings import Settings
from soundstage.settings.outgoing import DownloadSettings, WebhookSettings
from soundstage.settings.sections import PRIVATE_NETWORKS
from studio.publishing.accounts import AccountService
from studio.publishing.journal import PublicationJournal
from studio.publishing.publisher import Publisher, PublisherOptions
from studio.publishing.quota import UploadQuota
from studio.publishing.service import PublishingService
from studio.webhooks.sender import SenderOptions, WebhookSender
from studio.webhooks.service import WebhookService

WEBHOOKS_AT_ONCE = 32
UPLOADS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Start and close the workers with the server; the services need no start."""

    webhooks: WebhookService
    publishing: PublishingService
    accounts: AccountService
    quota: UploadQuota
    public_url: str | None
    workers: tuple[ItemWorker, ...]

    async def __aenter__(self) -> Outgoing:
        for worker in self.workers:
            await worker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            await worker.close()


def build_outgoing(
    settings: Settings,
    db: Database,
    events: EventStore,
    blobs: BlobStore,
    *,
    publisher_options: PublisherOptions | None = None,
    sender_options: SenderOptions | None = None,
    poll_s: float = 1.0,
) -> Outgoing:
    """The options are for those who cannot wait as long as is polite, such as tests."""
    state_dir = settings.state_dir.absolute()
    youtube = settings.youtube
    sealer = Sealer(state_dir, settings.sealing)
    quota = UploadQuota(db, youtube)
    accounts = AccountService(db, sealer, youtube, own_listeners(settings))
    publisher = Publisher(
        db,
        PublicationJournal(events),
        blobs,
        accounts,
        quota,
        sealer,
        youtube,
        publisher_options or PublisherOptions(),
    )
    destinations = webhook_destinations(settings)
    sender = WebhookSender(db, events, sealer, sender_options or _sender_options(settings, destinations))
    uploads = ItemWorker(
        "publisher",
        publisher.due,
        publisher.step,
        max_active=UPLOADS_AT_ONCE,
        poll_s=poll_s,
        lock=db.leader_lock("publisher", state_dir),
        context=tenant_bypass_context,
        bring_forward=publisher.bring_forward,
    )
    posts = ItemWorker(
        "webhooks",
        sender.due,
        sender.send,
        max_active=WEBHOOKS_AT_ONCE,
        poll_s=poll_s,
        lock=db.leader_lock("webhooks", state_dir),
        context=tenant_bypass_context,
        bring_forward=sender.bring_forward,
    )
    return Outgoing(
        webhooks=WebhookService(
            db, events, sealer, destinations, settings.webhooks.answer_bodies, posts.wake
        ),
        publishing=PublishingService(db, events, quota, youtube, uploads.wake),
        accounts=accounts,
        quota=quota,
        public_url=str(settings.http.public_url) if settings.http.public_url else None,
        workers=(uploads, posts),
    )


def webhook_destinations(settings: Settings) -> Destinations:
    """Returns the addresses that webhooks may have: public ones, and those that the operator opens."""
    return _chosen_destinations(settings, settings.webhooks, "webhooks")


def download_destinations(settings: Settings) -> Destinations:
    """From where files may be fetched that people name by URL."""
    return _chosen_destinations(settings, settings.downloads, "downloads")


def _chosen_destinations(
    settings: Settings, chosen: WebhookSettings | DownloadSettings, table: str
) -> Destinations:
    private = networks_of(PRIVATE_NETWORKS) if chosen.private_addresses else ()
    loopback = LOOPBACK_NETWORKS if chosen.loopback else ()
    return Destinations(
        own_listeners(settings),
        (*private, *loopback),
        loopback_setting=f"{table}.loopback",
        private_setting=f"{table}.private_addresses",
    )


def _sender_options(settings: Settings, destinations: Destinations) -> SenderOptions:
    return SenderOptions(
        destinations=destinations,
        answer_bodies=settings.webhooks.answer_bodies,
        timeout_s=settings.webhooks.timeout_s,
        keep=timedelta(days=settings.webhooks.keep_days),
    )
