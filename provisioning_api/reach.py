"""Gives routes the services of this room from `app.state.provisioning`, which `web` sets, and the permissions
that several of them require.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of dependencies at run time.
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection

from policy import Principal, require_permission

if TYPE_CHECKING:
    from provisioning_api.wiring import Provisioning
else:
    # The wiring imports every noun, and each noun's routes import this.
    Provisioning = Any


def provisioning_of(connection: HTTPConnection) -> Provisioning:
    """The services of the application behind a request."""
    return cast(Provisioning, connection.app.state.provisioning)


ProvisioningDep = Annotated[Provisioning, Depends(provisioning_of)]
ReadMachines = Annotated[Principal, Depends(require_permission("machine:read"))]
AcceptMachines = Annotated[Principal, Depends(require_permission("machine:accept"))]
UpdateMachines = Annotated[Principal, Depends(require_permission("machine:update"))]
SwitchMachines = Annotated[Principal, Depends(require_permission("machine:power"))]
