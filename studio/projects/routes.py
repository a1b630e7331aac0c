"""REST of projects and their versions."""

from __future__ import annotations

from fastapi import APIRouter, Query, status

from studio.consents.disclosure import spec_shown_to
from studio.guards import CreateProjects, DeleteProjects, ReadProjects, UpdateProjects
from studio.projects.schemas import ProjectChange, ProjectDraft, ProjectView, VersionDetail, VersionView
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/projects", tags=["projects"])


@router.get("")
async def list_projects(
    studio: StudioDep, _: ReadProjects, limit: int = Query(default=200, ge=1, le=1000)
) -> list[ProjectView]:
    """Latest change first."""
    return await studio.projects.list(limit)


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
async def delete_project(ref: str, studio: StudioDep, _: DeleteProjects) -> None:
    """With its scenes and versions; renders and assets stay."""
    await studio.projects.delete(ref)


@router.get("/{ref}/versions")
async def list_versions(ref: str, studio: StudioDep, _: ReadProjects) -> list[VersionView]:
    """Newest first. One is made with each render."""
    return await studio.versions.list(ref)


@router.get("/{ref}/versions/{number}")
async def get_version(ref: str, number: int, studio: StudioDep, principal: ReadProjects) -> VersionDetail:
    version = await studio.versions.get(ref, number)
    return version.model_copy(update={"spec": version.spec and spec_shown_to(principal, version.spec)})


@router.post("/{ref}/versions/{number}/restore")
async def restore_version(ref: str, number: int, studio: StudioDep, _: UpdateProjects) -> ProjectView:
    """The project becomes what it was; what it is now is kept as a version first."""
    return await studio.versions.restore(ref, number)
