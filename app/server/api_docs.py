"""The OpenAPI page at /docs, complete without any outside host; mounted by the composition root."""

from __future__ import annotations

from importlib.resources import files
from types import MappingProxyType

from fastapi import APIRouter, Depends, Response

from policy import public
from soundstage.errors import NotFound

# Swagger UI writes styles into its elements; scripts stay ours alone.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = MappingProxyType({"Content-Security-Policy": CONTENT_POLICY, "X-Content-Type-Options": "nosniff"})

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Soundstage API</title>
  <link rel="icon" href="/page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true, validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
VENDORED = MappingProxyType({"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"})


def docs_router() -> APIRouter:
    reason = "the description of the API is no secret; the API is guarded"
    router = APIRouter(include_in_schema=False, dependencies=[Depends(public(reason))])

    @router.get("/docs")
    async def page() -> Response:
        return Response(PAGE, media_type="text/html; charset=utf-8", headers=dict(HEADERS))

    @router.get("/docs/{name}")
    async def part(name: str) -> Response:
        if name == "start.js":
            return Response(START, media_type="text/javascript; charset=utf-8", headers=dict(HEADERS))
        media_type = VENDORED.get(name)
        if media_type is None:
            raise NotFound(
                "page.not_found", f"The API page has no file {name!r}.", hint="Open /docs instead."
            )
        content = (files("fastapi_offline") / "static" / name).read_bytes()
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers=dict(HEADERS))

    return router
