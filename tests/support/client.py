"""Flask's test client with the habits of the API's callers: a key, an idempotency key, JSON."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class ApiClient(FlaskClient):
    """`client.call("POST", "/v1/...", {...}, key=KEY)`; in short `read`, `create`, `act`, `change`."""

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        """One request; `body`, unless it is None, goes as JSON. `key` is sent as Bearer."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        if if_match is not None:
            sent["If-Match"] = if_match
        extra = {} if body is None else {"json": body}
        return self.open(path, method=method, headers=sent, query_string=query, **extra)

    def read(self, path: str, *, key: str | None = None, **query: Any) -> Any:
        """The JSON of a GET that must answer 200."""
        return self._answer(self.call("GET", path, key=key, query=query), 200)

    def create(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Any:
        """The JSON of a POST that must answer 201."""
        return self._answer(self.call("POST", path, body, key=key, **options), 201)

    def act(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Any:
        """The JSON of a POST that must answer 200."""
        return self._answer(self.call("POST", path, body, key=key, **options), 200)

    def change(self, path: str, body: Any, *, key: str | None = None, **options: Any) -> Any:
        """The JSON of a PATCH that must answer 200."""
        return self._answer(self.call("PATCH", path, body, key=key, **options), 200)

    @staticmethod
    def _answer(response: TestResponse, status: int) -> Any:
        assert response.status_code == status, f"{response.status}: {response.get_data(as_text=True)}"
        return response.get_json()
