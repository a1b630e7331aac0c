"""All routers of the studio, for the application."""

from __future__ import annotations

from fastapi import APIRouter

from policy import health
from studio.assets import rendition_routes as asset_renditions
from studio.assets import routes as assets
from studio.brands import routes as brands
from studio.changes import routes as changes
from studio.consents import routes as consents
from studio.imports import routes as imports
from studio.personas import routes as personas
from studio.projects import routes as projects
from studio.pronunciations import routes as pronunciations
from studio.publishing import routes as publishing
from studio.queue import routes as queue
from studio.renders import rendition_routes as render_renditions
from studio.renders import routes as renders
from studio.retention import routes as retention
from studio.scenes import routes as scenes
from studio.share_links import routes as share_links
from studio.share_links import viewing as shared_videos
from studio.uploads import routes as uploads
from studio.voices import routes as voices
from studio.voices import trial_routes as voice_trials
from studio.webhooks import routes as webhooks
from studio.worker_jobs import routes as worker_jobs


def routers() -> tuple[APIRouter, ...]:
    rooms = (
        health,
        projects,
        scenes,
        changes,
        imports,
        brands,
        assets,
        asset_renditions,
        uploads,
        personas,
        consents,
        voices,
        voice_trials,
        pronunciations,
        queue,
        renders,
        render_renditions,
        share_links,
        shared_videos,
        retention,
        publishing,
        webhooks,
        worker_jobs,
    )
    return tuple(room.router for room in rooms)
