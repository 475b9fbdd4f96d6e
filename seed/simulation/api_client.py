"""The API called in process through WSGI, by keys and in JSON, as its clients do. Every answer is counted by route."""

from collections import Counter
from typing import Any

from flask import Response, request

from api.app import Application
from seed.errors import SimulationFailed


class ApiClient:
    """Calls an application. answers: how many, by method and route and status. changes: calls that may have changed
    something."""

    def __init__(self, app: Application) -> None:
        self.changes = 0
        self.answers: Counter[tuple[str, int]] = Counter()
        app.after_request(self._count)
        self._client = app.test_client(use_cookies=False)

    def _count(self, response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule is not None else "no route"
        self.answers[f"{request.method} {rule}", response.status_code] += 1
        return response

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        also: tuple[int, ...] = (),
        **query: Any,
    ) -> tuple[int, Any]:
        """(status, JSON). Raises `SimulationFailed` for a refusal that is not among `also`."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        sent = {} if body is None else {"json": body}
        self.changes += method != "GET"
        answer = self._client.open(path, method=method, headers=headers, query_string=query, **sent)
        if answer.status_code >= 400 and answer.status_code not in also:
            raise SimulationFailed(f"{method} {path}: {answer.status} {answer.get_data(as_text=True)[:500]}")
        return answer.status_code, answer.get_json()

    def get(self, path: str, *, key: str, **query: Any) -> Any:
        """The JSON of a GET."""
        return self.ask("GET", path, key=key, **query)[1]

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The JSON of a POST that is not refused."""
        return self.ask("POST", path, body, key=key)[1]
