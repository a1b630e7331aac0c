"""What the deploy agent does, in the words of the API: report, claim, exchange; used by many tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.simulated_fleet.fleet import fleet_client
from provisioning_api.enrolment.challenges import text_to_sign
from provisioning_api.machines.keys import code_of


def random_mac() -> str:
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def public_hex(key: Ed25519PrivateKey) -> str:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return key.public_key().public_bytes(*raw).hex()


def new_host_key() -> str:
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return Ed25519PrivateKey.generate().public_key().public_bytes(*form).decode()


def new_csr(name: str = "whatever", key: ec.EllipticCurvePrivateKey | None = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Ramdisk:
    """A machine in its ramdisk; `client` speaks TLS from the machine's own address."""

    client: httpx.AsyncClient
    macs: list[str] = field(default_factory=lambda: [random_mac()])
    uuid: str | None = field(default_factory=lambda: str(uuid4()))
    address: str | None = "10.0.0.7"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    hardware: dict[str, Any] = field(default_factory=dict)
    host_key: str = field(default_factory=new_host_key)
    machine_id: str = ""
    name: str = ""
    challenge: str = ""
    secret: str = ""
    member: tuple[str, ec.EllipticCurvePrivateKey] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        return {"macs": self.macs, "uuid": self.uuid}

    @property
    def code(self) -> str:
        """What stands on its console."""
        return code_of(public_hex(self.key))

    async def signed_report(self, **changed: Any) -> dict[str, Any]:
        """A report as it is sent, signed for a challenge of its own; `changed` parts of its payload."""
        agent_key = public_hex(self.key)
        request = await self.client.post("/api/agent/challenge", json={"agent_key": agent_key})
        challenge = request.raise_for_status().json()["challenge"]
        report = {**self.identity, "hardware": self.hardware, "address": self.address}
        if self.secret:
            text = text_to_sign("announced", agent_key, challenge, "")
            report["announced"] = hmac.new(self.secret.encode(), text, hashlib.sha256).hexdigest()
        if self.member is not None:
            serial, key = self.member
            signature = key.sign(text_to_sign("member", agent_key, challenge, ""), ec.ECDSA(hashes.SHA256()))
            report["member"] = {"serial": serial, "signature": base64.b64encode(signature).decode()}
        report |= changed
        payload = json.dumps(report)
        signature = self.key.sign(text_to_sign("discover", agent_key, challenge, payload)).hex()
        return {"agent_key": agent_key, "challenge": challenge, "payload": payload, "signature": signature}

    async def discover(self, **changed: Any) -> httpx.Response:
        answer = await self.client.post("/api/agent/discover", json=await self.signed_report(**changed))
        if answer.is_success:
            found = answer.json()
            self.machine_id, self.name, self.challenge = (
                found["machine_id"],
                found["name"],
                found["challenge"],
            )
        return answer

    def signed(self, verb: str, payload: Any = None) -> dict[str, Any]:
        text = "" if payload is None else json.dumps(payload)
        signature = self.key.sign(text_to_sign(verb, self.machine_id, self.challenge, text)).hex()
        return {
            "machine_id": self.machine_id,
            "challenge": self.challenge,
            "payload": text,
            "signature": signature,
        }

    async def call(self, verb: str, payload: Any = None) -> httpx.Response:
        """A signed call; the challenge in the answer is for the next one."""
        answer = await self.client.post(f"/api/agent/{verb}", json=self.signed(verb, payload))
        if answer.is_success:
            self.challenge = answer.json().get("challenge", self.challenge)
        return answer

    async def new_challenge(self) -> None:
        """Asks for one, as an agent does whose last one was used and whose answer was lost."""
        request = await self.client.post("/api/agent/challenge", json={"machine_id": self.machine_id})
        self.challenge = request.raise_for_status().json()["challenge"]

    async def claim(self) -> httpx.Response:
        return await self.call("claim")

    async def token(self) -> str:
        answer = await self.claim()
        token: str | None = answer.raise_for_status().json()["token"]
        assert token is not None, answer.text
        return token

    async def become_member(self) -> None:
        """Enrols, and keeps the credential as its disk would."""
        key = ec.generate_private_key(ec.SECP256R1())
        got = (await self.enrol(await self.token(), csr=new_csr(key=key))).raise_for_status().json()
        serial = x509.load_pem_x509_certificate(got["certificate"].encode()).serial_number
        self.member = (str(serial), key)

    async def enrol(self, token: str, **changed: Any) -> httpx.Response:
        request = {**self.identity, "token": token, "host_key": self.host_key, "csr": new_csr(), **changed}
        return await self.client.post("/api/agent/enrol", json=request)


async def switched_on(url: str, tls_url: str, hardware: dict[str, Any], address: str = "10.0.0.7") -> str:
    """An empty machine reports from its ramdisk to the process at `url`; gives its name."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as plain:
        authority = (await plain.get(f"{url}/api/ca.pem")).text
    async with fleet_client(tls_url, authority) as client:
        machine = Ramdisk(client, hardware=hardware, address=address)
        (await machine.discover()).raise_for_status()
        return machine.name
