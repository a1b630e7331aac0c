"""Imports every table of the studio, so that `Base.metadata` knows them; for migrations and
`create_tables`.
"""

from studio.assets.models import Asset
from studio.consents.models import ConsentRow
from studio.projects.models import Project, ProjectVersion
from studio.references.models import BlobReference, Derivation
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.scenes.models import SceneRow

__all__ = [
    "Asset",
    "BlobReference",
    "ConsentRow",
    "Derivation",
    "Project",
    "ProjectVersion",
    "Render",
    "RenderOutput",
    "RenderSegment",
    "SceneRow",
    "Segment",
]
