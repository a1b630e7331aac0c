"""Puts the policy into an application; called by the composition root."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.requests import HTTPConnection

from policy.admission import UNKNOWN_BODY_BYTES, Admission, BodyAdmission, DeclarationCheck
from policy.attempts import FailedAttempts
from policy.authentication import Authenticator, PublicOrigin
from policy.decisions.bundle import load_bundle
from policy.decisions.decider import Decider, DecisionLog
from policy.decisions.embedded import default_engine
from policy.decisions.engine import Engine
from policy.decisions.opa_server import OpaEngine
from policy.declarations import list_route_grants
from policy.keys.routes import keys_router
from policy.keys.schemas import CreatedKey
from policy.keys.service import KeyService
from policy.login import login_router
from policy.principal import Principal
from policy.revocation import KeyChanges, RevocationCheck
from policy.sessions import SessionSigner, session_secret
from policy.start_links import StartLinks
from soundstage.body_limits import install_body_limits
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.routers import add_routers
from soundstage.settings import LimitSettings, PolicySettings, Settings

SCHEME = "apiKey"
PROBLEM = {"description": "A problem document (RFC 9457) with `code`, `detail` and `hint`."}


def describe_permissions(app: FastAPI) -> None:
    """Adds the bearer scheme, and to each operation its permission and the answers 401 and 403."""
    plain = app.openapi

    def with_permissions() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, plain())
        return app.openapi_schema

    # The way that FastAPI itself documents for changing the schema.
    app.openapi = with_permissions  # type: ignore[method-assign]


def _described(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "description": "An API key, 64 hex digits."}
    for grant in list_route_grants(app):
        for method in grant.methods:
            operation = document["paths"].get(grant.described_path, {}).get(method.lower())
            if operation is None or not grant.permissions:
                continue
            operation["security"] = [{SCHEME: []}]
            operation["x-permissions"] = list(grant.permissions)
            needs = f"Needs {', '.join(f'`{name}`' for name in grant.permissions)}."
            operation["description"] = f"{operation.get('description', '')}\n\n{needs}".strip()
            for status in ("401", "403"):
                operation.setdefault("responses", {}).setdefault(status, PROBLEM)
    return document


@dataclass
class Policy:
    """Keys, sessions, the authenticator and the decider of one installation."""

    db: Database
    events: EventStore
    keys: KeyService
    sessions: SessionSigner
    name: PublicOrigin
    limits: LimitSettings
    decider: Decider

    def __post_init__(self) -> None:
        self.changes = KeyChanges(self.events)
        self.attempts = FailedAttempts(self.db, self.keys, self.changes)
        self.authenticator = Authenticator(self.db, self.keys, self.sessions, self.name, self.attempts)
        self.links = StartLinks()

    @classmethod
    def open(cls, settings: Settings, db: Database, events: EventStore) -> Policy:
        """The policy that the settings ask for; makes the session secret at the first start."""
        overlap = timedelta(hours=settings.auth.rotation_overlap_hours)
        keys = KeyService(events, settings.auth.api_key_hashes, overlap, settings.auth.scrape_key_hashes)
        sessions = SessionSigner(
            session_secret(settings.state_dir, settings.sealing), settings.auth.session_hours
        )
        url = settings.http.public_url
        name = PublicOrigin(
            host=None if url is None else urlsplit(str(url)).netloc.lower(),
            https=url is not None and url.scheme == "https",
            allow_plain_http=settings.auth.plain_http,
        )
        decider = Decider(choose_engine(settings.policy), DecisionLog(settings.policy.log))
        return cls(db, events, keys, sessions, name, settings.limits, decider)

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """Returns the principal of a connection, authenticated once."""
        known: Principal | None = getattr(connection.state, "principal", None)
        if known is None:
            known = connection.state.principal = await self.authenticator.authenticate(connection)
        return known

    async def first_admin_key(self) -> CreatedKey | None:
        """At the very first start an admin key, to be shown once; None ever after."""
        async with self.db.transaction() as session:
            return await self.keys.first_admin(session)

    async def close(self) -> None:
        """Writes what is pending, and closes the watcher of keys and the evaluator."""
        await self.changes.close()
        await self.authenticator.uses.close()
        await self.decider.close()


def choose_engine(settings: PolicySettings) -> Engine:
    """The evaluator that the settings name. An OPA server is not called before the first question."""
    if settings.engine == "opa":
        return OpaEngine(str(settings.opa_url), load_bundle(), settings.opa_token_file)
    return default_engine()


def install_policy(
    app: FastAPI,
    policy: Policy,
    public: Mapping[str, str] | None = None,
    own_tokens: Mapping[str, Admission] | None = None,
    keyless: Collection[str] = (),
) -> None:
    """Adds the routes of keys and login, limits bodies, and refuses to start while a route declares nothing.

    `public` gives the reason for paths that cannot declare one themselves (`/openapi.json`, mounted files).
    `own_tokens` names the public paths whose routes ask for a token of another kind, and what checks it.
    `keyless`: prefixes of paths that need no key; bodies are limited to a small size there.
    """
    app.state.policy = policy
    app.state.public_paths = dict(public or {})
    login = login_router(policy.authenticator, policy.sessions, policy.links, https=policy.name.https)
    add_routers(app, keys_router(policy.db, policy.keys), login)
    describe_permissions(app)
    install_body_limits(
        app,
        body_kib=policy.limits.body_kib,
        upload_mib=policy.limits.upload_mib,
        by_path=dict.fromkeys(keyless, UNKNOWN_BODY_BYTES),
    )
    app.add_middleware(RevocationCheck, changes=policy.changes)
    app.add_middleware(
        BodyAdmission, authenticate=policy.authenticate, own_tokens=own_tokens, keyless=keyless
    )
    app.add_middleware(DeclarationCheck, guarded=app)
