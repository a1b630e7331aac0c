"""A BMC over TLS in Redfish's wire format (DSP0266, resources as in DMTF's mock-ups DSP2043): a double of
our own, since the emulator has no asset tag. What is set holds from the machine's next start on.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SYSTEMS, CHASSIS = "/redfish/v1/Systems", "/redfish/v1/Chassis/1U"
SYSTEM = f"{SYSTEMS}/437XR1138R2"
USER, PASSWORD = "admin", "the-password-of-the-bmc"


@dataclass
class Board:
    """The machine behind the BMC. `tag_place`: the resource with the asset tag. `smbios_tag`: what programs
    on the machine read.
    """

    serial: str
    tag_place: str = SYSTEM
    keeps: int = 64
    """How many characters of an asset tag it keeps."""
    tag: str = "rack-7"
    smbios_tag: str = "rack-7"
    power: str = "On"
    boot: str = "None"
    resets: list[str] = field(default_factory=list)
    url: str = ""
    certificate_sha256: str = ""

    def resource(self, path: str) -> dict[str, Any] | None:
        tag = {"AssetTag": self.tag} if path == self.tag_place else {}
        if path == SYSTEMS:
            return {"@odata.id": SYSTEMS, "Members@odata.count": 1, "Members": [{"@odata.id": SYSTEM}]}
        if path == CHASSIS:
            return {"@odata.id": CHASSIS, "Id": "1U", "ChassisType": "RackMount", **tag}
        if path != SYSTEM:
            return None
        return {
            "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
            "@odata.id": SYSTEM,
            "Id": "437XR1138R2",
            "SerialNumber": "CN7475123",
            "SKU": self.serial,
            "PartNumber": "224071-J23",
            "UUID": "38947555-7742-3448-3784-823347823834",
            "PowerState": self.power,
            "Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": self.boot},
            "Links": {"Chassis": [{"@odata.id": CHASSIS}]},
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": f"{SYSTEM}/Actions/ComputerSystem.Reset",
                    "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart"],
                }
            },
            **tag,
        }

    def patch(self, path: str, content: dict[str, Any]) -> bool:
        if "AssetTag" in content and path == self.tag_place:
            self.tag = content["AssetTag"][: self.keeps]
        elif "Boot" in content and path == SYSTEM:
            self.boot = content["Boot"]["BootSourceOverrideTarget"]
        else:
            return False
        return True

    def reset(self, kind: str) -> None:
        self.resets.append(kind)
        self.power = "Off" if kind == "ForceOff" else "On"
        self.smbios_tag = self.tag


@contextmanager
def redfish_double(folder: Path, board: Board) -> Iterator[Board]:
    """Serve `board`, and say in it where."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = board.resource(self.path) if self._is_known() else None
            if found is not None:
                self._answer(200, found)
            elif self._is_known():
                self._answer(404, {"error": {"code": "Base.1.8.ResourceMissingAtURI"}})

        def do_PATCH(self) -> None:
            content = self._content()
            if not self._is_known():
                return
            if self.headers.get("If-Match") != self._tag(board.resource(self.path)):
                self._answer(412, {"error": {"code": "Base.1.8.PreconditionFailed"}})
            elif board.patch(self.path, content):
                self._answer(200, board.resource(self.path) or {})
            else:
                self._answer(400, {"error": {"code": "Base.1.8.PropertyUnknown"}})

        def do_POST(self) -> None:
            content = self._content()
            if self._is_known():
                board.reset(content["ResetType"])
                self._answer(204, None)

        def _content(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return found

        def _is_known(self) -> bool:
            login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") == login:
                return True
            self._answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
            return False

        def _answer(self, status: int, content: dict[str, Any] | None) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json;odata.metadata=minimal")
            self.send_header("OData-Version", "4.0")
            if content is not None and status == 200:
                self.send_header("ETag", self._tag(content))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _tag(self, content: dict[str, Any] | None) -> str:
            return f'W/"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]}"'

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    board.certificate_sha256 = _certify(folder, context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    board.url = f"https://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield board
    finally:
        server.shutdown()
        server.server_close()


def _certify(folder: Path, context: ssl.SSLContext) -> str:
    """A certificate of its own, as BMCs come; its SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bmc")])
    now = datetime.now(UTC)
    created = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "bmc.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + created.public_bytes(serialization.Encoding.PEM))
    context.load_cert_chain(pem)
    return hashlib.sha256(created.public_bytes(serialization.Encoding.DER)).hexdigest()
