"""The owner of a row: a principal, as it was when the row was inserted."""

from __future__ import annotations

from typing import cast

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from policy.principal import Kind, Principal
from soundstage.database.tenants import TenantOwned


class PrincipalOwned(TenantOwned):
    """A row of a principal: what it stands for is done later, with the rights that the principal has then."""

    principal_id: Mapped[str] = mapped_column(String(80))
    principal_name: Mapped[str] = mapped_column(String(100))
    principal_kind: Mapped[str] = mapped_column(String(20))
    principal_role: Mapped[str] = mapped_column(String(40))

    @property
    def owner(self) -> Principal:
        """Returns the stored principal; `present_principal` gives it the rights of now."""
        kind = cast(Kind, self.principal_kind)
        return Principal(
            self.principal_id, self.principal_name, self.principal_role, kind, tenant=self.tenant
        )

    @owner.setter
    def owner(self, principal: Principal) -> None:
        self.tenant = principal.tenant
        self.principal_id = principal.id
        self.principal_name = principal.name
        self.principal_kind = principal.kind
        self.principal_role = principal.role
