"""One simulated machine: keys of its own, a ramdisk's calls, and the fault that was planned for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.simulated_fleet.plan import Fault, MachinePlan
from provisioning_api.enrolment.challenges import text_to_sign

LOST_SHARE = 0.3
ATTEMPTS = 20
RETRY_S = 0.2


class SimulatedMachine:
    """Enrols as far as the API allows. `on_call` receives path, seconds and status of every call."""

    def __init__(
        self, plan: MachinePlan, client: httpx.AsyncClient, on_call: Callable[[str, float, int], None]
    ) -> None:
        self.plan = plan
        self._client = client
        self._on_call = on_call
        self._rng = random.Random(plan.seed)  # noqa: S311 - a simulation, not a secret
        self._key = Ed25519PrivateKey.generate()
        self._challenge = ""
        self.machine_id = ""
        self.outcome = ""
        """`enrolled`, `waits`, `half_written`, `gave_up` (no answer), `ENROLLED TWICE` (a replay was
        accepted), or the code of the error that stopped it.
        """

    async def run(self) -> None:
        """Runs from power-on to its outcome."""
        await asyncio.sleep(self.plan.starts_after_s)
        if not await self._discover():
            return
        claimed = await self._call_signed("claim")
        if claimed is None or claimed.get("token") is None:
            self.outcome = self.outcome or "waits"
            return
        if claimed["next"] == "write" and not await self._write():
            return
        await self._enrol(claimed["token"])

    async def call_home(self, token: str) -> httpx.Response | None:
        """Calls `POST /api/ready-for-provisioning` as its first boot would."""
        body = {"hostname": f"sim-{self.plan.number}", "ip": self._address}
        headers = {"Authorization": f"Bearer {token}"}
        return await self._post("/api/ready-for-provisioning", body, headers=headers)

    @property
    def _address(self) -> str:
        number = self.plan.number
        return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    async def _discover(self) -> bool:
        gpu = {"vendor": "10de", "device": "1e81", "model": "TU104", "vram_mib": 8192}
        hardware = {
            "serial": self.plan.serial,
            "cpu_threads": 16,
            "memory_mib": 65536,
            "disks": [{"name": "sda", "bytes": 480_000_000_000}],
            "gpus": [{**gpu, "address": f"0000:0{n}:00.0"} for n in range(self.plan.gpus)],
        }
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        agent_key = self._key.public_key().public_bytes(*raw).hex()
        answer = await self._post("/api/agent/challenge", {"agent_key": agent_key})
        if answer is None:
            return False
        challenge = answer.json()["challenge"]
        proof = text_to_sign("announced", agent_key, challenge, "")
        report = {**self._identity, "hardware": hardware, "address": self._address}
        report["announced"] = hmac.new(self.plan.secret.encode(), proof, hashlib.sha256).hexdigest()
        payload = json.dumps(report)
        text = text_to_sign("discover", agent_key, challenge, payload)
        call = {"agent_key": agent_key, "challenge": challenge, "payload": payload}
        answer = await self._post("/api/agent/discover", {**call, "signature": self._key.sign(text).hex()})
        if answer is None:
            # Its report arrived, and the answer got lost: another challenge, and the same once more.
            if self.outcome != "enrolment.challenge_used":
                return False
            self.outcome = ""
            return await self._discover()
        found = answer.json()
        self.machine_id, self._challenge = found["machine_id"], found["challenge"]
        return True

    async def _write(self) -> bool:
        if await self._call_signed("write") is None:
            return False
        spans: list[dict[str, Any]] = [{"name": "stream", "ago_s": 20.0, "seconds": 18.0}]
        if self.plan.fault is Fault.HALF_WRITTEN_DISK:
            failure = {"code": "half_written", "message": "power was lost while the disk was written"}
            await self._call_signed("report", {"spans": spans, "failure": failure})
            self.outcome = "half_written"
            return False
        return await self._call_signed("report", {"spans": spans}) is not None

    async def _enrol(self, token: str) -> None:
        request = {**self._identity, "token": token, "host_key": _host_key(), "csr": _csr()}
        answer = await self._post("/api/agent/enrol", request)
        if answer is None and self.outcome in ("enrolment.token_used", "gave_up"):
            # It was exchanged, and the answer got lost on the way.
            self.outcome = ""
            await self._new_challenge()
            answer = await self._post("/api/agent/collect", self._call("collect"), lossy=False)
        if answer is None:
            return
        self.outcome = "enrolled"
        if self.plan.fault is Fault.REPLAY:
            again = await self._post("/api/agent/enrol", {**request, "host_key": _host_key()}, lossy=False)
            if again is not None:
                self.outcome = "ENROLLED TWICE"
            else:
                self.outcome = "enrolled"

    @property
    def _identity(self) -> dict[str, Any]:
        return {"macs": list(self.plan.macs), "uuid": self.plan.uuid}

    async def _call_signed(self, verb: str, payload: Any = None) -> dict[str, Any] | None:
        # A write is granted once: after a lost answer only an operator can allow another write.
        answer = await self._post(f"/api/agent/{verb}", self._call(verb, payload), lossy=verb != "write")
        if answer is None and self.outcome == "enrolment.challenge_used":
            # It arrived, and the answer got lost.
            await self._new_challenge()
            return await self._call_signed(verb, payload)
        if answer is None:
            return None
        found: dict[str, Any] = answer.json()
        self._challenge = found.get("challenge", self._challenge)
        return found

    async def _new_challenge(self) -> None:
        self.outcome = ""
        answer = await self._post("/api/agent/challenge", {"machine_id": self.machine_id}, lossy=False)
        self._challenge = self._challenge if answer is None else answer.json()["challenge"]

    def _call(self, verb: str, payload: Any = None) -> dict[str, Any]:
        body = "" if payload is None else json.dumps(payload)
        return {
            "machine_id": self.machine_id,
            "challenge": self._challenge,
            "payload": body,
            "signature": self._key.sign(text_to_sign(verb, self.machine_id, self._challenge, body)).hex(),
        }

    async def _post(
        self, path: str, body: Any, *, lossy: bool = True, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        """Repeats a call until an answer comes; None for a refusal, whose code is the machine's outcome."""
        unlucky = lossy and self.plan.fault is Fault.LOST_PACKETS
        for _ in range(ATTEMPTS):
            if unlucky and self._rng.random() < LOST_SHARE:
                # The call is lost on its way.
                await asyncio.sleep(RETRY_S)
                continue
            started = time.perf_counter()
            try:
                answer = await self._client.post(path, json=body, headers=self._headers(headers))
            except httpx.TransportError:
                self._on_call(path, time.perf_counter() - started, 0)
                await asyncio.sleep(RETRY_S)
                continue
            self._on_call(path, time.perf_counter() - started, answer.status_code)
            lost = unlucky and self._rng.random() < LOST_SHARE
            if lost or answer.status_code in (502, 503):
                await asyncio.sleep(RETRY_S)
                continue
            if answer.is_success:
                return answer
            self.outcome = str(answer.json().get("code"))
            return None
        self.outcome = "gave_up"
        return None

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        headers = dict(more or {})
        if self.plan.fault is Fault.CLOCK_1970:
            headers["Date"] = "Thu, 01 Jan 1970 00:00:42 GMT"
        return headers


def _host_key() -> str:
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return Ed25519PrivateKey.generate().public_key().public_bytes(*form).decode()


def _csr() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "simulated")])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
