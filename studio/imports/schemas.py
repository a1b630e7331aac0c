"""Wire types of imports: what is asked for, the outline that is shown before, and what was made."""

from __future__ import annotations

from typing import Literal, Self

from avatar.spec import Canvas
from avatar.spec.scene import MAX_SCRIPT_CHARS
from pydantic import BaseModel, Field, model_validator

from soundstage.one_line import OneLine
from studio.assets.schemas import AssetView
from studio.projects.schemas import ProjectView
from studio.scenes.schemas import SceneView

DocumentKind = Literal["text", "markdown", "html", "docx", "pptx"]


class ImportOptions(BaseModel, extra="forbid"):
    """Options of an import: where the scenes of a document go. Without `project` they make a new one."""

    project: str | None = Field(
        default=None, max_length=80, description="id or slug; the scenes come behind those it has"
    )
    title: OneLine | None = Field(
        default=None, min_length=1, max_length=200, description="of a new project; None: the document's"
    )
    persona: str | None = Field(default=None, max_length=80, description="who speaks; of a new project")
    canvas: Canvas | None = Field(default=None, description="of a new project")
    language: str | None = Field(default=None, max_length=35, description="of the scenes")


class ImportRequest(ImportOptions):
    """A document to import: a `text`, or the `url` of a page or a file. A file itself comes in a form."""

    url: str | None = Field(default=None, max_length=2000)
    text: str | None = Field(default=None, min_length=1, max_length=MAX_SCRIPT_CHARS * 5)
    format: Literal["markdown", "text"] = Field(default="markdown", description="of `text`")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.text is None):
            raise ValueError("give `url` or `text`")
        return self


class OutlineScene(BaseModel):
    """A scene as it would be; `seconds` is how long it takes to say, about."""

    title: str
    script: str
    seconds: float
    pictures: int


class ImportOutline(BaseModel):
    """A plan of what an import would make. `notices` say what of the document is left out."""

    kind: DocumentKind
    title: str
    scenes: list[OutlineScene]
    seconds: float
    pictures: int
    notices: list[str]


class ImportResult(BaseModel):
    """The outcome of an import: the project, its new scenes, and the pictures of the document."""

    project: ProjectView
    scenes: list[SceneView]
    assets: list[AssetView]
    notices: list[str]
