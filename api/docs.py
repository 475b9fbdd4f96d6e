"""`/openapi.json` and `/docs`: Swagger UI from this machine, which loads nothing from elsewhere."""

from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, jsonify

_ASSETS = Path(str(files("flask_openapi_swagger"))) / "templates" / "swagger"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dispatch: API</title>
<link rel="icon" href="/docs/assets/images/swagger.svg">
<link rel="stylesheet" href="/docs/assets/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

docs = Blueprint("docs", __name__, static_folder=_ASSETS, static_url_path="/docs/assets")


@docs.get("/openapi.json")
def document() -> Response:
    """The OpenAPI document."""
    return jsonify(current_app.api_doc)  # type: ignore[attr-defined]


@docs.get("/docs")
def page() -> Response:
    """The documentation, to read and to try."""
    return Response(_PAGE, headers={"Content-Security-Policy": _POLICY})


@docs.get("/docs/start.js")
def start() -> Response:
    """What the page runs: a file, so that its policy can forbid inline scripts."""
    return Response(_START, mimetype="text/javascript")


def register(app: Flask) -> None:
    """Mounts the pages."""
    app.register_blueprint(docs)
