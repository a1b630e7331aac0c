"""A document becomes a project by a sentence; a path is for people at this machine's prompt only."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.tools.projects.imports import ImportDocument, ImportedDocument, import_document
from agent.tools.record import ToolContext
from app.composition import Services
from policy import Principal
from soundstage.errors import Forbidden

TIDES = "# Tides\n\nThe sea comes.\n\n## Causes\n\nThe moon pulls.\n\n| a |\n|---|\n| 1 |\n"
ROOT = Principal.local_admin()


@pytest.fixture
def notes(tmp_path: Path) -> str:
    path = tmp_path / "tides.md"
    path.write_text(TIDES)
    return str(path)


async def test_a_file_becomes_a_project_and_the_answer_names_its_scenes(
    services: Services, notes: str
) -> None:
    context = ToolContext(ROOT, "ses_1", services.tool_services, local_files=True)
    request = ImportDocument.model_validate({"url": notes, "shape": "vertical"})
    assert import_document.plan is not None
    plan = await import_document.plan(context, request)
    assert [one.what for one in plan.changes] == [
        "Make a project",
        "Scene 1: The sea comes.",
        "Scene 2: The moon pulls.",
    ]
    assert await services.studio.projects.list() == []
    result = await import_document.run(context, request)
    assert isinstance(result, ImportedDocument)
    project = await services.studio.projects.get(result.project_id)
    assert (project.title, project.canvas.width, project.canvas.height) == ("Tides", 1080, 1920)
    assert [scene.script for scene in result.scenes] == ["The sea comes.", "The moon pulls."]
    assert "2 new scenes" in result.sentence() and "1 table is left out." in result.sentence()
    audited = await services.audit.newest(5, ROOT.tenant)
    assert [line.subject for line in audited if line.kind == "project.imported"] == [project.id]


async def test_a_path_is_refused_from_elsewhere(services: Services, notes: str) -> None:
    context = ToolContext(ROOT, "ses_1", services.tool_services)
    with pytest.raises(Forbidden) as refused:
        await import_document.run(context, ImportDocument.model_validate({"url": notes}))
    assert refused.value.code == "import.path_not_allowed"


@pytest.mark.parametrize("values", [{}, {"url": "https://a.example", "file": "b"}])
def test_one_document_is_named(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="one of both"):
        ImportDocument.model_validate(values)
