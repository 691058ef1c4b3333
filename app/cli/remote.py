"""What a running server is asked beside chat: its models, and changes of them."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import httpx2

from app.cli.address import Address, no_server
from app.cli.names import explain_unknown, names_of
from app.cli.refusal import Refusal

Json = dict[str, Any]

_SECONDS = 30.0
_PATIENCE = 600.0  # a model is loaded, or waited for
_SILENCE = 60.0  # a stream of events has a comment every few seconds
_DATA = "data:"


class ServerError(Refusal):
    """The server's own words. `code` as OpenAI's error objects have it, where there is one."""

    def __init__(self, message: str, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Remote:
    """A connection to a server. Everything raises ServerError, in one line, when it fails."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = httpx2.Client(
            base_url=address.url,
            headers=headers_of(address),
            timeout=_SECONDS,
            trust_env=not address.is_local,
            transport=httpx2.HTTPTransport(uds=address.socket) if address.socket else None,
        )

    def close(self) -> None:
        self._client.close()

    @property
    def is_corral(self) -> bool:
        """Whether Corral answers there, and not somebody else. One that wants a key is taken for
        it: it will say so itself."""
        try:
            answer = self._client.get("/api/version")
        except httpx2.HTTPError:
            return False
        return answer.status_code in {401, 503} or "corral" in _object_in(answer)

    def version(self) -> str:
        return str(self._ask("GET", "/api/version").get("corral", "unknown"))

    def rows(self) -> list[Json]:
        """As `/v1/models` has them."""
        return list(self._ask("GET", "/v1/models").get("data") or ())

    def row(self, name: str) -> Json:
        """A model by id or alias."""
        with self._naming(name):
            return self._ask("GET", f"/v1/models/{name}")

    def card(self, name: str) -> Json:
        """As `/api/show` has it."""
        with self._naming(name):
            return self._ask("POST", "/api/show", {"model": name})

    def running(self) -> list[Json]:
        """As `/api/ps` has them."""
        return list(self._ask("GET", "/api/ps").get("models") or ())

    def load(self, name: str, keep_alive: float | str | None = None) -> None:
        """Have a model in memory, and say how long it stays there unused."""
        self._keep(name, keep_alive)

    def unload(self, name: str) -> None:
        self._keep(name, 0)

    def delete(self, name: str) -> None:
        with self._naming(name):
            self._ask("DELETE", "/api/delete", {"model": name})

    def copy(self, source: str, name: str) -> None:
        with self._naming(source):
            self._ask("POST", "/api/copy", {"source": source, "destination": name})

    def short_names(self) -> dict[str, str]:
        """Name -> source, of what the server pulls by name."""
        known = self._ask("GET", "/admin/registry").get("models") or ()
        return {one["name"]: one["source"] for one in known}

    def pulls(self) -> list[Json]:
        """Downloads as `/admin/pulls` has them."""
        return list(self._ask("GET", "/admin/pulls").get("pulls") or ())

    def start_pull(self, model: str) -> Json:
        """Have a model downloaded; the download, which may be one that ran already."""
        return self._ask("POST", "/admin/pulls", {"model": model})

    def cancel_pull(self, job: str) -> Json:
        return self._ask("DELETE", f"/admin/pulls/{job}")

    def follow_pull(self, job: str) -> Generator[Json]:
        """A download as it stands and each time it changed, to its end."""
        path = f"/admin/pulls/{job}/events"
        try:
            with self._client.stream("GET", path, timeout=_SILENCE) as answer:
                if answer.status_code >= 400:
                    raise explain_refusal(answer.status_code, answer.read(), self.address)
                for line in answer.iter_lines():
                    if line.startswith(_DATA):
                        told = cast("Json", json.loads(line.removeprefix(_DATA)))
                        yield told
                        if told["ended_at"] is not None:
                            return
        except httpx2.HTTPError as error:
            raise explain_failure(error, self.address) from None
        raise ServerError("the server told no more of the download; the same command watches it on")

    def _keep(self, name: str, keep_alive: float | str | None) -> None:
        body: Json = {"model": name, "stream": False}
        if keep_alive is not None:
            body["keep_alive"] = keep_alive
        with self._naming(name):
            self._ask("POST", "/api/generate", body, _PATIENCE)

    def _ask(
        self, method: str, path: str, body: Json | None = None, limit: float = _SECONDS
    ) -> Json:
        try:
            answer = self._client.request(method, path, json=body, timeout=limit)
        except httpx2.HTTPError as error:
            raise explain_failure(error, self.address) from None
        if answer.status_code >= 400:
            raise explain_refusal(answer.status_code, answer.content, self.address)
        return _object_in(answer)

    @contextmanager
    def _naming(self, name: str) -> Generator[None]:
        """Tells what comes near a model's name that the server does not know."""
        try:
            yield
        except ServerError as error:
            if error.status != 404:
                raise
            known = names_of(self.rows())
            raise ServerError(explain_unknown(name, known), 404, "model_not_found") from None


def headers_of(address: Address) -> dict[str, str]:
    return {"authorization": f"Bearer {address.api_key}"} if address.api_key else {}


def explain_failure(error: httpx2.HTTPError, address: Address) -> Refusal:
    """What a broken connection means."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return no_server(address)
    if isinstance(error, httpx2.TimeoutException):
        return ServerError(f"the server at {address.url} does not answer")
    return ServerError(f"the connection to {address.url} broke off: {error}")


def explain_refusal(status: int, body: bytes, address: Address) -> ServerError:
    """The error that a server answered with, in the form of any of its dialects."""
    message, code = read_error(body)
    if status == 401:
        given = "does not take this key" if address.api_key else "needs an API key"
        message = f"the server at {address.url} {given}: set LLM_API_KEY, or give --api-key"
    return ServerError(message or f"the server answered with status {status}", status, code)


def read_error(body: bytes) -> tuple[str, str | None]:
    """Message and code of an error object; empty where there is none."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return "", None
    error = cast("Json", told).get("error") if isinstance(told, dict) else None
    if isinstance(error, dict):
        found = cast("Json", error)
        return str(found.get("message") or ""), found.get("code")
    return str(error or ""), None


def _object_in(answer: httpx2.Response) -> Json:
    try:
        told: Any = answer.json() if answer.content else {}
    except ValueError:
        return {}
    return cast("Json", told) if isinstance(told, dict) else {}
