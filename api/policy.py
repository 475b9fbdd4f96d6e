"""What a page may load, as the browser is told: from here alone, but for what is named."""


def content_policy(image_origin: str | None = None) -> str:
    """A Content-Security-Policy (CSP level 3). image_origin: from where images may come too, such as map tiles."""
    images = "'self' data:" + (f" {image_origin}" if image_origin else "")
    return (
        f"default-src 'self'; img-src {images}; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
