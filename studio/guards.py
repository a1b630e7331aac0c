"""Short names for the permissions that the studio's routes declare."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from policy import Principal, require_permission

ReadProjects = Annotated[Principal, Depends(require_permission("project:read"))]
CreateProjects = Annotated[Principal, Depends(require_permission("project:create"))]
UpdateProjects = Annotated[Principal, Depends(require_permission("project:update"))]
DeleteProjects = Annotated[Principal, Depends(require_permission("project:delete"))]
ReadScenes = Annotated[Principal, Depends(require_permission("scene:read"))]
CreateScenes = Annotated[Principal, Depends(require_permission("scene:create"))]
UpdateScenes = Annotated[Principal, Depends(require_permission("scene:update"))]
DeleteScenes = Annotated[Principal, Depends(require_permission("scene:delete"))]
ReadAssets = Annotated[Principal, Depends(require_permission("asset:read"))]
CreateAssets = Annotated[Principal, Depends(require_permission("asset:create"))]
UpdateAssets = Annotated[Principal, Depends(require_permission("asset:update"))]
DeleteAssets = Annotated[Principal, Depends(require_permission("asset:delete"))]
ReadPersonas = Annotated[Principal, Depends(require_permission("persona:read"))]
CreatePersonas = Annotated[Principal, Depends(require_permission("persona:create"))]
UpdatePersonas = Annotated[Principal, Depends(require_permission("persona:update"))]
DeletePersonas = Annotated[Principal, Depends(require_permission("persona:delete"))]
ReadConsents = Annotated[Principal, Depends(require_permission("consent:read"))]
CreateConsents = Annotated[Principal, Depends(require_permission("consent:create"))]
RevokeConsents = Annotated[Principal, Depends(require_permission("consent:revoke"))]
ReadVoices = Annotated[Principal, Depends(require_permission("voice:read"))]
CreateVoices = Annotated[Principal, Depends(require_permission("voice:create"))]
DeleteVoices = Annotated[Principal, Depends(require_permission("voice:delete"))]
ReadRenders = Annotated[Principal, Depends(require_permission("render:read"))]
CreateRenders = Annotated[Principal, Depends(require_permission("render:create"))]
UpdateRenders = Annotated[Principal, Depends(require_permission("render:update"))]
CancelRenders = Annotated[Principal, Depends(require_permission("render:cancel"))]
DeleteRenders = Annotated[Principal, Depends(require_permission("render:delete"))]
ReadBrands = Annotated[Principal, Depends(require_permission("brand:read"))]
CreateBrands = Annotated[Principal, Depends(require_permission("brand:create"))]
UpdateBrands = Annotated[Principal, Depends(require_permission("brand:update"))]
DeleteBrands = Annotated[Principal, Depends(require_permission("brand:delete"))]
CollectStorage = Annotated[Principal, Depends(require_permission("storage:collect"))]
