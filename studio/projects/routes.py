"""REST of projects and their versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from soundstage.paging import PAGED, PagingDep, SearchText
from studio.consents.disclosure import redact_spec
from studio.guards import CreateProjects, DeleteProjects, ReadProjects, UpdateProjects
from studio.projects.repository import MAX_VERSION, ProjectFilter, ProjectSort
from studio.projects.schemas import (
    ProjectChange,
    ProjectCopy,
    ProjectDraft,
    ProjectSummary,
    ProjectView,
    VersionDetail,
    VersionView,
)
from studio.tags import TagQuery
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/projects", tags=["projects"])

VersionNumber = Annotated[int, Path(ge=1, le=MAX_VERSION)]


@router.get("", responses=PAGED)
async def list_projects(
    studio: StudioDep,
    _: ReadProjects,
    paging: PagingDep,
    q: SearchText = None,
    sort: ProjectSort = "-updated",
    persona: Annotated[str | None, Query(max_length=80)] = None,
    tag: TagQuery = None,
    trash: Annotated[bool, Query(description="those in the trash, and no others")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[ProjectSummary]:
    """Latest change first. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    criteria = ProjectFilter(sort, q, persona, tag or (), trash)
    page = await studio.projects.find_page(criteria, paging.ask(limit))
    return paging.answer(page.of(await studio.render_list.summarize_projects(page.items)))


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_project(draft: ProjectDraft, studio: StudioDep, _: CreateProjects) -> ProjectView:
    return await studio.projects.create(draft)


@router.get("/{ref}")
async def get_project(ref: str, studio: StudioDep, _: ReadProjects) -> ProjectView:
    """By id or slug."""
    return await studio.projects.get(ref)


@router.patch("/{ref}")
async def change_project(
    ref: str, change: ProjectChange, studio: StudioDep, _: UpdateProjects
) -> ProjectView:
    """Only what is given changes."""
    return await studio.projects.change(ref, change)


@router.delete("/{ref}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_project(
    ref: str,
    studio: StudioDep,
    principal: DeleteProjects,
    forever: Annotated[bool, Query(description="delete it at once, wherever it is")] = False,
) -> None:
    """Moves it to the trash with its scenes and versions, which is emptied after `retention.trash_days`.
    Renders and assets stay.
    """
    if forever:
        await studio.projects.delete(ref, by=principal.name)
    else:
        await studio.projects.trash(ref, by=principal.name)


@router.post("/{ref}/restore")
async def restore_project(ref: str, studio: StudioDep, principal: UpdateProjects) -> ProjectView:
    """Takes it out of the trash, as it was."""
    return await studio.projects.restore(ref, by=principal.name)


@router.post("/{ref}/copy", status_code=status.HTTP_201_CREATED)
async def copy_project(
    ref: str, studio: StudioDep, principal: CreateProjects, request: ProjectCopy | None = None
) -> ProjectView:
    """Another project with its scenes and looks. Versions, renders and links stay with the first."""
    return await studio.projects.copy(ref, request or ProjectCopy(), principal)


@router.get("/{ref}/versions")
async def list_versions(ref: str, studio: StudioDep, _: ReadProjects) -> list[VersionView]:
    """Newest first. One is made with each render."""
    return await studio.versions.list(ref)


@router.get("/{ref}/versions/{number}")
async def get_version(
    ref: str, number: VersionNumber, studio: StudioDep, principal: ReadProjects
) -> VersionDetail:
    version = await studio.versions.get(ref, number)
    return version.model_copy(update={"spec": version.spec and redact_spec(principal, version.spec)})


@router.post("/{ref}/versions/{number}/restore")
async def restore_version(
    ref: str, number: VersionNumber, studio: StudioDep, _: UpdateProjects
) -> ProjectView:
    """The project becomes what it was; what it is now is kept as a version first."""
    return await studio.versions.restore(ref, number)
