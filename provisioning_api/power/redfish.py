"""Calls a BMC by Redfish (DMTF DSP0266): state, reset, one-time boot device; called by the power service.

Not `sushy`: it sends the password wherever a BMC's answer points, and bounds neither answers nor the whole
time
(docs/decisions/0054).
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from provisioning_api.power.schemas import PowerAction
from soundstage.errors import Forbidden, Upstream
from soundstage.http import Bounds, Destinations, Target, outgoing_client, resolve

ROOT = "/redfish/v1"
TIMEOUT_S = 30.0
BOUNDS = Bounds(silence_s=TIMEOUT_S, answer_bytes=4 << 20, total_s=2 * TIMEOUT_S)
_BOOT = {PowerAction.BOOT_NETWORK: "Pxe", PowerAction.BOOT_DISK: "Hdd"}
# In the order of preference: BMCs list what they can do, and no two the same.
_RESETS = {
    PowerAction.ON: ("On", "ForceOn"),
    PowerAction.OFF: ("ForceOff", "GracefulShutdown", "PushPowerButton"),
    PowerAction.CYCLE: ("ForceRestart", "PowerCycle", "GracefulRestart"),
}


@dataclass(frozen=True, slots=True)
class Bmc:
    """Address and credentials of a BMC. `system` None: its only or first one."""

    url: str
    user: str
    password: str
    system: str | None = None
    certificate_sha256: str | None = None


class RedfishClient:
    """Client of one BMC."""

    def __init__(self, bmc: Bmc, client: httpx.AsyncClient) -> None:
        self._bmc = bmc
        self._client = client

    async def state(self) -> str:
        """Returns `On`, `Off`, `PoweringOn`, …"""
        return str((await self._system())[1].get("PowerState") or "unknown")

    async def do(self, action: PowerAction) -> None:
        """Returns when the BMC has agreed; the machine takes its time."""
        path, system, etag = await self._system_with_tag()
        if action in _BOOT:
            boot = {"BootSourceOverrideTarget": _BOOT[action], "BootSourceOverrideEnabled": "Once"}
            await self._patch(path, {"Boot": boot}, etag)
            return
        reset = system.get("Actions", {}).get("#ComputerSystem.Reset", {})
        offered = reset.get("ResetType@Redfish.AllowableValues") or _RESETS[action]
        kind = next((one for one in _RESETS[action] if one in offered), None)
        if kind is None:
            raise Upstream(
                "power.not_offered",
                f"The BMC does not offer to switch it {action}; it offers: {', '.join(map(str, offered))}.",
                "Use another action, or switch it by hand.",
            )
        target = str(reset.get("target") or f"{path}/Actions/ComputerSystem.Reset")
        await self._request("POST", target, json={"ResetType": kind})

    async def serials(self) -> frozenset[str]:
        """Returns the serial numbers of the machine. Some makers put the one that its firmware reports in
        `SKU`.
        """
        _, system = await self._system()
        return frozenset(str(system[name]).strip() for name in ("SerialNumber", "SKU") if system.get(name))

    async def set_asset_tag(self, tag: str) -> None:
        """Set the asset tag of the system, or of its chassis where it has none of its own.

        Raises Upstream where neither can be set, or the BMC keeps something else.
        """
        path, found, etag = await self._system_with_tag()
        if "AssetTag" not in found:
            path = _first_link(found.get("Links"), "Chassis")
            answer = await self._request("GET", path) if path else None
            found = {} if answer is None else _json(answer)
            etag = None if answer is None else answer.headers.get("etag") or found.get("@odata.etag")
        if "AssetTag" not in found:
            raise Upstream(
                "power.no_asset_tag",
                "The BMC offers no asset tag that could be set.",
                "Accept the machine by its code: `soundstage machines accept NAME --code CODE`.",
            )
        await self._patch(path, {"AssetTag": tag}, etag)
        if _json(await self._request("GET", path)).get("AssetTag") != tag:
            raise Upstream(
                "power.asset_tag_refused",
                "The BMC took another asset tag than it was given.",
                "Accept the machine by its code: `soundstage machines accept NAME --code CODE`.",
            )

    async def _system(self) -> tuple[str, dict[str, Any]]:
        path, system, _ = await self._system_with_tag()
        return path, system

    async def _system_with_tag(self) -> tuple[str, dict[str, Any], str | None]:
        path = f"{ROOT}/Systems/{self._bmc.system}" if self._bmc.system else await self._first_system()
        answer = await self._request("GET", path)
        system = _json(answer)
        return path, system, answer.headers.get("etag") or system.get("@odata.etag")

    async def _first_system(self) -> str:
        path = _first_link(_json(await self._request("GET", f"{ROOT}/Systems")), "Members")
        if not path:
            raise Upstream("power.no_system", "The BMC knows no system.", "Name it: `system`.")
        return path

    async def _patch(self, path: str, content: dict[str, Any], etag: str | None) -> None:
        """Sends a PATCH with and without If-Match: some BMCs require it and some refuse it (412)."""
        answer = await self._raw("PATCH", path, json=content, headers={"If-Match": etag} if etag else {})
        if answer.status_code in (400, 412, 428):
            answer = await self._raw("PATCH", path, json=content, headers={} if etag else {"If-Match": "*"})
        _check(answer)

    async def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return _check(await self._raw(method, path, **more))

    async def _raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        if not path.startswith(f"{ROOT}/"):
            # A target that leads elsewhere would get our password.
            raise Upstream(
                "power.strange_answer", "The BMC names a target outside of Redfish.", "Update its firmware."
            )
        try:
            return await self._client.request(
                method, path, auth=httpx.BasicAuth(self._bmc.user, self._bmc.password), **more
            )
        except httpx.HTTPError as error:
            raise Upstream(
                "power.bmc_unreachable",
                f"The BMC at {urlsplit(self._bmc.url).netloc} does not answer: {type(error).__name__}.",
                "Check its address and its network.",
            ) from error


async def redfish_client(bmc: Bmc, destinations: Destinations) -> httpx.AsyncClient:
    """Opens a client for one BMC, whose certificate must be signed by a trusted CA or be the pinned one.
    Raises what `soundstage.http.resolve` raises.
    """
    verify: ssl.SSLContext | bool = True
    if bmc.certificate_sha256 is not None:
        verify = await _pinned(bmc, await resolve(bmc.url, destinations))
    return outgoing_client(destinations, BOUNDS, base_url=bmc.url.rstrip("/"), verify=verify)


async def _pinned(bmc: Bmc, target: Target) -> ssl.SSLContext:
    """Trusts exactly the certificate with that hash, which is fetched first and compared."""
    parts = urlsplit(bmc.url)
    there = (str(target.addresses[0]), target.port)
    try:
        pem = await asyncio.to_thread(ssl.get_server_certificate, there, timeout=TIMEOUT_S)
    except OSError as error:
        raise Upstream(
            "power.bmc_unreachable", f"The BMC at {parts.netloc} does not answer.", "Check its address."
        ) from error
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    if shown != bmc.certificate_sha256:
        raise Forbidden(
            "power.other_certificate",
            f"The BMC at {parts.netloc} shows another certificate than the pinned one.",
            "If it was renewed, set `certificate_sha256` anew; if not, the connection is intercepted.",
        )
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    return context


def _check(answer: httpx.Response) -> httpx.Response:
    if answer.status_code in (401, 403):
        raise Upstream("power.bmc_refuses", "The BMC refuses the user and password.", "Set them anew.")
    if not answer.is_success:
        raise Upstream(
            "power.bmc_failed",
            f"The BMC answered {answer.status_code} to {answer.request.method} {answer.request.url.path}.",
            "Look at the BMC's own log.",
        )
    return answer


def _first_link(found: object, name: str) -> str:
    """Returns the path of the first resource that `name` lists; "" where a BMC lists none, or in another
    shape.
    """
    listed = found.get(name) if isinstance(found, dict) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    return str(first.get("@odata.id") or "") if isinstance(first, dict) else ""


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise Upstream(
            "power.strange_answer", "The BMC did not answer with JSON.", "Check its address."
        ) from error
    if not isinstance(found, dict):
        raise Upstream("power.strange_answer", "The BMC did not answer with an object.", "Check its address.")
    return found
