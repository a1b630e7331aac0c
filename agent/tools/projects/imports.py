"""Makes a project of a document: slides, a Word file, Markdown or a web page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from agent.presentation import Blocks, items, page
from agent.presentation.text import count
from agent.tools.personas.lookup import name_of, persona_named
from agent.tools.plan import Change, Plan, change
from agent.tools.projects.tools import ProjectRef, SceneLine, project_named, scene_lines, scene_list
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from agent.tools.sizes import Quality, Shape, canvas_for
from soundstage.errors import Forbidden
from studio.imports.schemas import ImportOptions, ImportRequest
from studio.imports.service import SourceFile


class ImportDocument(ToolRequest):
    url: str | None = Field(default=None, max_length=2000, description="The address of a page or a file.")
    file: str | None = Field(
        default=None, max_length=1000, description="A path, only at the prompt of this machine."
    )
    project: ProjectRef | None = Field(
        default=None, description="A project behind whose scenes the new ones come; else there is a new one."
    )
    title: str | None = Field(default=None, max_length=200, description="How the new project is called.")
    persona: str | None = Field(default=None, max_length=80, description="The name or id of a persona.")
    quality: Quality = Field(default="1080p", description="One of 360p, 480p, 720p, 1080p, 1440p, 2160p.")
    shape: Shape = Field(default="landscape", description="One of landscape, square, vertical.")

    @model_validator(mode="before")
    @classmethod
    def _path_is_a_file(cls, values: Any) -> Any:
        """Sentences name either by one slot."""
        if isinstance(values, dict) and isinstance(values.get("url"), str) and "file" not in values:
            address = values["url"].strip()
            if "://" not in address:
                return {**{name: one for name, one in values.items() if name != "url"}, "file": address}
        return values

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("name a URL or a file, one of both")
        return self


class ImportedDocument(ToolResult):
    """The project with the scenes that have come. `notices`: what of the document is left out."""

    project_id: str
    project: str
    speaker: str
    scenes: tuple[SceneLine, ...]
    pictures: int
    notices: tuple[str, ...] = ()

    def presentation(self) -> Blocks:
        seconds = sum(scene.seconds for scene in self.scenes)
        pictures = f" and {count(self.pictures, 'picture')}" if self.pictures else ""
        return page(
            f"“{self.project}” has {count(len(self.scenes), 'new scene')}{pictures} for {self.speaker}, "
            f"about {seconds:.0f} s:",
            scene_list(self.scenes),
            items(self.notices) if self.notices else "",
            f"Say “Render the project {self.project}” when you like it.",
        )


async def _planned(context: ToolContext, request: ImportDocument) -> Plan:
    async with _source(context, request) as (source, options):
        outline = await context.studio.imports.plan(source, options)
    project = None if request.project is None else await project_named(context, request.project)
    where = f"project “{outline.title if project is None else project.title}”"
    changes = [] if project is not None else [Change(what="Make a project", where=where)]
    changes += [
        change(f"Scene {number}: {scene.script or scene.title}", where)
        for number, scene in enumerate(outline.scenes, start=1)
    ]
    return Plan(changes=tuple(changes))


@tool(
    Act("write", "project:create", label="Import document", files=("file",)),
    undo="edit_project deletes the project, or the new scenes of it",
    plan=_planned,
)
async def import_document(context: ToolContext, request: ImportDocument) -> ImportedDocument:
    """Make a project of slides, a Word file, Markdown or a web page: its text becomes scenes."""
    for needed in ("project:create", "scene:create", "asset:create"):
        context.principal.require(needed)
    async with _source(context, request) as (source, options):
        result = await context.studio.imports.create(source, options, context.principal)
    return ImportedDocument(
        project_id=result.project.id,
        project=result.project.title,
        speaker=name_of(context, result.project.persona),
        scenes=scene_lines(context, result.scenes),
        pictures=len(result.assets),
        notices=tuple(result.notices),
    )


@asynccontextmanager
async def _source(
    context: ToolContext, request: ImportDocument
) -> AsyncIterator[tuple[SourceFile, ImportOptions]]:
    imports = context.studio.imports
    persona = None if request.persona is None else persona_named(context, request.persona).id
    project = None if request.project is None else (await project_named(context, request.project)).id
    options = ImportOptions(
        project=project,
        title=request.title,
        persona=persona,
        canvas=canvas_for(request.quality, request.shape),
    )
    async with imports.staging() as folder:
        if request.url is not None:
            yield await imports.source_of(ImportRequest(url=request.url), folder), options
            return
        if not context.local_files:
            raise Forbidden(
                "import.path_not_allowed",
                "A path on the server cannot be used from here.",
                "Give the address of the document, or upload it as a form.",
            )
        path = await asyncio.to_thread(Path(request.file or "").expanduser)
        yield await imports.source_at(path, folder), options
