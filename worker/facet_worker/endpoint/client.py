"""One attempt at one request: everything that can come back over the wire becomes an answer or a named cause."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from facet_worker.endpoint.settings import AskFailed, EndpointSettings
from facet_worker.errors import FacetError

LONGEST = 4 << 20
"""Bytes; an answer of some hundred words is far below."""


@dataclass(frozen=True)
class Answer:
    """What the endpoint wrote. `finish` is its own word (`stop`, `length`); tokens are None where it did not count them."""

    text: str
    finish: str | None
    read: int | None
    written: int | None
    created_at: str
    key: str = ""


class Client:
    """Sends requests to one endpoint; safe for several threads. The key goes into a header and nowhere else."""

    def __init__(self, settings: EndpointSettings) -> None:
        settings.check()
        self.settings = settings
        self._key = settings.key()
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=settings.concurrency)
        self._http = httpx.Client(headers=headers, timeout=settings.timeout_s, limits=limits, follow_redirects=False)
        self._url = f"{settings.url.rstrip('/')}/chat/completions"

    def close(self) -> None:
        self._http.close()

    def clean(self, text: str) -> str:
        """The text without the key, which some servers quote in their refusals."""
        return text.replace(self._key, "…") if self._key else text

    def _said(self, body: bytes) -> str:
        return " ".join(self.clean(body[:4000].decode("utf-8", "replace")).split())[:200]

    def send(self, body: bytes) -> Answer:
        """One attempt.

        Raises
        ------
        AskFailed : no answer, with its cause.
        FacetError : `unauthorized`, `forbidden` or `not_found`: no other request would fare better.
        """
        status, kind, retry_after, received = self._exchange(body)
        if status in (401, 403, 404):
            code = {401: "unauthorized", 403: "forbidden", 404: "not_found"}[status]
            fix = f"Check the address, the model's name and the key in {self.settings.key_env}."
            raise FacetError(f"The endpoint answered {status}: {self._said(received)}.", code, fix=fix)
        if status == 429:
            raise AskFailed("rate_limited", self._said(received), retry_after)
        if status >= 500 or status == 408:
            raise AskFailed("server_error", f"{status}: {self._said(received)}", retry_after)
        if status != 200:
            raise AskFailed("refused", f"{status}: {self._said(received)}")
        return self._read(kind, received)

    def _exchange(self, body: bytes) -> tuple[int, str, float | None, bytes]:
        # Each read has its own timeout in httpx; a server that sends a byte now and then would never meet it.
        end = time.monotonic() + self.settings.timeout_s
        received = bytearray()
        try:
            with self._http.stream("POST", self._url, content=body, headers={"content-type": "application/json"}) as response:
                for part in response.iter_bytes():
                    received += part
                    if len(received) > LONGEST:
                        raise AskFailed("too_long")
                    if time.monotonic() > end:
                        raise AskFailed("timeout", f"{self.settings.timeout_s:g} s")
                headers = response.headers
                return response.status_code, headers.get("content-type", ""), retry_after_of(headers.get("retry-after")), bytes(received)
        except httpx.TimeoutException as error:
            raise AskFailed("timeout", f"{self.settings.timeout_s:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise AskFailed("connection", self.clean(str(error))[:200]) from error

    def _read(self, kind: str, received: bytes) -> Answer:
        if not received.strip():
            raise AskFailed("empty")
        try:
            found = json.loads(received)
        except (ValueError, RecursionError) as error:
            page = "html" in kind or received.lstrip()[:1] == b"<"
            raise AskFailed("html" if page else "broken_json", self._said(received)) from error
        try:
            choice = found["choices"][0]
            content = choice["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise AskFailed("wrong_shape", self._said(received)) from error
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
        if not isinstance(content, str | None):
            raise AskFailed("wrong_shape", self._said(received))
        content = _storable(content or "")
        if not content.strip():
            raise AskFailed("no_text")
        usage = found.get("usage") or {}
        finish = choice.get("finish_reason")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        read, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        return Answer(self.clean(content), finish if isinstance(finish, str) else None, read, written, now)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**53 else None


def _storable(text: str) -> str:
    """What files and databases take: half a surrogate pair, where an answer was cut within a letter, becomes a mark, and NUL is nothing."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "")


def retry_after_of(header: str | None) -> float | None:
    """Seconds of a Retry-After header, which may hold seconds or a date; None for one that says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
