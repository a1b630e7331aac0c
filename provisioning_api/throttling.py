"""Limits what callers without a key may ask of the provisioning API; wrapped around its application."""

from __future__ import annotations

import math
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provisioning_api.audit.refusals import RefusalLog
from soundstage.errors import TooManyRequests, problem_response
from soundstage.rate_limits import Rate, RateLimiter
from soundstage.request_source import peer_address
from soundstage.settings.provisioning import ProvisioningSettings
from soundstage.telemetry import QUIET

THROTTLED = ("/boot/", "/api/agent/", "/api/ready-for-provisioning", "/api/ca.", "/api/ssh/")
# Kernels and images: some hundred ranges a machine, each checked against the signed manifest.
UNTHROTTLED = "/boot/artefacts/"
FAILURES_AT_ONCE = 20
NEW_MACHINES_PERIOD_MINUTES = 60


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """`requests`: all requests; `failures`: wrong tokens, signatures and keys; `new_machines`: reports of
    unknown machines.
    """

    requests: RateLimiter
    failures: RateLimiter
    new_machines: RateLimiter

    @classmethod
    def of(cls, settings: ProvisioningSettings) -> RequestLimits:
        """Return the limits of the settings; what a minute allows may come at once."""
        per_source, total = settings.requests_per_minute, settings.requests_per_minute_total
        failures, new = settings.failures_per_minute, settings.new_machines_per_hour
        return cls(
            requests=RateLimiter(Rate(per_source, per_source), Rate(total, total)),
            failures=RateLimiter(Rate(max(FAILURES_AT_ONCE, failures), failures)),
            new_machines=RateLimiter(Rate(new, new / NEW_MACHINES_PERIOD_MINUTES)),
        )


class Throttle:
    """Answers 429 before a body is read. A source is the peer of the connection, or what a trusted proxy says
    that it is.
    """

    def __init__(self, app: ASGIApp, limits: RequestLimits, refusals: RefusalLog) -> None:
        self._app = app
        self._limits = limits
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_throttled(scope["path"]):
            await self._app(scope, receive, send)
            return
        source = peer_address(scope) or "local"
        error = self._refusal(source)
        if error is not None:
            # Its line in the log would be the next flood; it is counted in the metrics and by `RefusalLog`.
            scope[QUIET] = True
            await self._refusals.note(source, "request.refused", error.code, "unknown")
            await problem_response(error)(scope, receive, send)
            return
        status = 500

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            if status != 401:
                self._limits.failures.refund(source)

    def _refusal(self, source: str) -> TooManyRequests | None:
        if wait_s := self._limits.requests.take(source):
            return TooManyRequests(
                "request.too_many",
                "This address asks more often than it may without a key.",
                "Come again later; see `provisioning.requests_per_minute` and `requests_per_minute_total`.",
                headers=_come_again(wait_s),
            )
        # Taken before it is known whether it fails: guesses at the same time would all pass otherwise.
        if wait_s := self._limits.failures.take(source):
            return TooManyRequests(
                "request.too_many_failures",
                "This address showed too many wrong tokens, signatures or keys.",
                "Come again later; see `provisioning.failures_per_minute`.",
                headers=_come_again(wait_s),
            )
        return None


def _come_again(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait_s))), "Connection": "close"}


def _is_throttled(path: str) -> bool:
    return path.startswith(THROTTLED) and not path.startswith(UNTHROTTLED)
