"""The table of persona files: the database has what people make, each machine a copy in a folder."""

from __future__ import annotations

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base
from soundstage.database.tenants import TenantOwned, require_tenant


class PersonaFile(TenantOwned, Base):
    """One file of a persona made by people: its YAML, or what was compiled with it. A removed one stays as a
    row without content, so that a machine that was off removes its copy.
    """

    __tablename__ = "persona_files"

    tenant: Mapped[str] = mapped_column(String(80), primary_key=True, default=require_tenant)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    content: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
