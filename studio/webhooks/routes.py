"""REST of webhooks and their log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from policy import Principal, require_permission
from studio.webhooks.schemas import (
    CreatedWebhook,
    DeliveryDetail,
    DeliveryLog,
    DeliveryView,
    WebhookChange,
    WebhookDraft,
    WebhookView,
)
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])

ReadWebhooks = Annotated[Principal, Depends(require_permission("webhook:read"))]
CreateWebhooks = Annotated[Principal, Depends(require_permission("webhook:create"))]
UpdateWebhooks = Annotated[Principal, Depends(require_permission("webhook:update"))]
DeleteWebhooks = Annotated[Principal, Depends(require_permission("webhook:delete"))]


@router.get("")
async def list_webhooks(studio: StudioDep, _: ReadWebhooks) -> list[WebhookView]:
    """Newest first."""
    return await studio.outgoing.webhooks.all()


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_webhook(draft: WebhookDraft, studio: StudioDep, principal: CreateWebhooks) -> CreatedWebhook:
    """From now on its URL is told what happens. The secret is shown this once."""
    return await studio.outgoing.webhooks.create(draft, created_by=principal.name)


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: str, studio: StudioDep, _: ReadWebhooks) -> WebhookView:
    return await studio.outgoing.webhooks.get(webhook_id)


@router.patch("/{webhook_id}")
async def change_webhook(
    webhook_id: str, change: WebhookChange, studio: StudioDep, _: UpdateWebhooks
) -> WebhookView:
    """Also switches it off and on again."""
    return await studio.outgoing.webhooks.change(webhook_id, change)


@router.delete("/{webhook_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_webhook(webhook_id: str, studio: StudioDep, _: DeleteWebhooks) -> None:
    """With its log."""
    await studio.outgoing.webhooks.delete(webhook_id)


@router.post("/{webhook_id}/rotate")
async def rotate_secret(webhook_id: str, studio: StudioDep, _: UpdateWebhooks) -> CreatedWebhook:
    """A new secret, shown this once; for a day the old one signs too."""
    return await studio.outgoing.webhooks.rotate(webhook_id)


@router.post("/{webhook_id}/test", status_code=status.HTTP_202_ACCEPTED)
async def test_webhook(webhook_id: str, studio: StudioDep, _: UpdateWebhooks) -> DeliveryView:
    """Sends a message of the kind `webhook.test`."""
    return await studio.outgoing.webhooks.test(webhook_id)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str,
    studio: StudioDep,
    _: ReadWebhooks,
    before: str | None = None,
    limit: int = Query(default=50, ge=1, le=500),
) -> list[DeliveryLog]:
    """Newest first, with every try of each; `before` is the id of the last one seen."""
    return await studio.outgoing.webhooks.deliveries(webhook_id, before, limit)


@router.get("/{webhook_id}/deliveries/{delivery_id}")
async def get_delivery(
    webhook_id: str, delivery_id: str, studio: StudioDep, _: ReadWebhooks
) -> DeliveryDetail:
    """With the body and every try."""
    return await studio.outgoing.webhooks.delivery(webhook_id, delivery_id)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=status.HTTP_202_ACCEPTED)
async def redeliver(webhook_id: str, delivery_id: str, studio: StudioDep, _: UpdateWebhooks) -> DeliveryView:
    """The same message once more, under the same id."""
    return await studio.outgoing.webhooks.redeliver(webhook_id, delivery_id)
