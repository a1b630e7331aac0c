"""REST of brand kits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, status

from soundstage.paging import PAGED, PagingDep, SearchText
from studio.brands.repository import BrandFilter, BrandSort
from studio.brands.schemas import BrandChange, BrandDraft, BrandUse, BrandView
from studio.guards import CreateBrands, DeleteBrands, ReadBrands, ReadProjects, UpdateBrands
from studio.wiring import StudioDep

router = APIRouter(tags=["brands"])


@router.get("/api/brands", responses=PAGED)
async def list_brands(
    studio: StudioDep,
    _: ReadBrands,
    paging: PagingDep,
    q: SearchText = None,
    sort: BrandSort = "name",
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
) -> list[BrandView]:
    """By name. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    return paging.answer(await studio.brands.find_page(BrandFilter(sort, q), paging.ask(limit)))


@router.post("/api/brands", status_code=status.HTTP_201_CREATED)
async def create_brand(draft: BrandDraft, studio: StudioDep, principal: CreateBrands) -> BrandView:
    """Files are named by the `sha256` of an asset; the kit keeps them from now on."""
    return await studio.brands.create(draft, by=principal.name)


@router.get("/api/brands/{brand_id}")
async def get_brand(brand_id: str, studio: StudioDep, _: ReadBrands) -> BrandView:
    """By id or name."""
    return await studio.brands.get(brand_id)


@router.patch("/api/brands/{brand_id}")
async def change_brand(
    brand_id: str, change: BrandChange, studio: StudioDep, principal: UpdateBrands
) -> BrandView:
    """Only the parts that are given change; null takes one away. Videos show it when they are made anew."""
    return await studio.brands.change(brand_id, change, by=principal.name)


@router.delete("/api/brands/{brand_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_brand(brand_id: str, studio: StudioDep, principal: DeleteBrands) -> None:
    """Refused while a project uses it."""
    await studio.brands.delete(brand_id, by=principal.name)


@router.get("/api/projects/{ref}/brand")
async def read_brand_use(ref: str, studio: StudioDep, _: ReadProjects) -> BrandUse:
    """Tells which values of its videos come from its brand, and which from its scenes or itself."""
    return await studio.brand_usage.read(ref)
