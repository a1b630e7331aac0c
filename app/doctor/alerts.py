"""Asks Alertmanager which alerts fire: they belong to the health of the installation."""

from __future__ import annotations

from typing import Any

import httpx

from soundstage.health import Check, amber, green, red
from soundstage.http import open_client, tls_context
from soundstage.settings import Settings

TIMEOUT_S = 5.0
WATCHDOG = "Watchdog"
"""Always fires; without it nothing comes from Prometheus."""
GOOD = frozenset({WATCHDOG, "MachineHealed"})
"""Alerts of what went well."""
MAX_NAMED = 5


async def examine_alerts(settings: Settings) -> Check | None:
    """Returns None where no Alertmanager is set."""
    chosen = settings.monitoring
    if chosen.alertmanager_url is None:
        return None
    try:
        tls = tls_context(
            ca_file=chosen.ca_file, certificate=chosen.client_cert_file, key=chosen.client_key_file
        )
        async with open_client(str(chosen.alertmanager_url), timeout=TIMEOUT_S, tls=tls) as client:
            # https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
            query = {"active": "true", "silenced": "false", "inhibited": "false"}
            answer = await client.get("/api/v2/alerts", params=query)
            answer.raise_for_status()
            firing: list[dict[str, Any]] = answer.json()
    except (httpx.HTTPError, OSError, ValueError):
        fix = "On the machine of the group `monitoring`: `systemctl status prometheus-alertmanager`."
        return amber("alerts", "Alertmanager does not answer", fix, "monitoring.unreachable")
    return _judge(firing)


def _judge(firing: list[dict[str, Any]]) -> Check:
    names = [str(one["labels"].get("alertname", "")) for one in firing]
    if WATCHDOG not in names:
        fix = "On the machine of the group `monitoring`: `systemctl status prometheus`."
        return amber("alerts", "Prometheus reports nothing: no alert can fire", fix, "monitoring.silent")
    found = [one for one in firing if one["labels"].get("alertname") not in GOOD]
    if not found:
        return green("alerts", "none fires")
    found.sort(key=lambda one: (one["labels"].get("severity") != "page", one["labels"].get("alertname", "")))
    summaries = [str(one["annotations"].get("summary") or one["labels"].get("alertname")) for one in found]
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    summary = " ".join(summaries[:MAX_NAMED]) + more
    hint = str(found[0]["annotations"].get("hint") or "See the runbook, `docs/guide/monitoring.md`.")
    level = red if found[0]["labels"].get("severity") == "page" else amber
    return level("alerts", summary, hint, "monitoring.alerts_fire")
