"""Tables as CSV (RFC 4180), to be opened in a spreadsheet as well."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from flask import Response

MEDIA_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(name: str, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> Response:
    """A file of that name, with a header."""
    written = StringIO()
    table = csv.writer(written)
    table.writerow(columns)
    table.writerows([_cell(value) for value in line] for line in lines)
    disposition = f'attachment; filename="{name}"'
    return Response(written.getvalue(), mimetype=MEDIA_TYPE, headers={"Content-Disposition": disposition})


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is shown as text (OWASP, CSV injection); numbers stay
    numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
