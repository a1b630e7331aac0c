"""Imports every table of the studio, so that `Base.metadata` knows them; for migrations and
`create_tables`.
"""

from studio.assets.models import Asset, AssetTag
from studio.brands.models import Brand
from studio.consents.models import ConsentRow
from studio.first_run.models import FirstRun
from studio.idempotency.models import IdempotencyKey
from studio.personas.models import PersonaFile
from studio.projects.models import Project, ProjectVersion
from studio.pronunciations.models import PronunciationRow
from studio.publishing.models import Account, PendingConsent, Publication, QuotaDay
from studio.references.models import BlobReference, Derivation
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.scenes.models import SceneRow
from studio.uploads.models import ResumableUpload
from studio.voices.models import ClonedVoice
from studio.webhooks.models import Delivery, DeliveryTry, Webhook

__all__ = [
    "Account",
    "Asset",
    "AssetTag",
    "BlobReference",
    "Brand",
    "ClonedVoice",
    "ConsentRow",
    "Delivery",
    "DeliveryTry",
    "Derivation",
    "FirstRun",
    "IdempotencyKey",
    "PendingConsent",
    "PersonaFile",
    "Project",
    "ProjectVersion",
    "PronunciationRow",
    "Publication",
    "QuotaDay",
    "Render",
    "RenderOutput",
    "RenderSegment",
    "ResumableUpload",
    "SceneRow",
    "Segment",
    "Webhook",
]
