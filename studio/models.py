"""Imports every table of the studio, so that `Base.metadata` knows them; for migrations and
`create_tables`.
"""
# ruff: noqa: F401 - the tables

import studio.assets.models
import studio.brands.models
import studio.consents.models
import studio.first_run.models
import studio.idempotency.models
import studio.personas.models
import studio.projects.models
import studio.pronunciations.models
import studio.publishing.models
import studio.references.models
import studio.renders.models
import studio.scenes.models
import studio.share_links.models
import studio.uploads.models
import studio.voices.models
import studio.webhooks.models
