"""How an endpoint is asked, and why an answer can be missing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from facet_worker.errors import FacetError

CAUSES: dict[str, str] = {
    "rate_limited": "it answered 429, too many requests",
    "server_error": "it answered with a server's error",
    "timeout": "it did not answer in time",
    "connection": "it could not be reached, or hung up",
    "html": "it sent a web page in place of an answer",
    "empty": "it sent nothing",
    "broken_json": "what it sent is no JSON, or only a part of one",
    "wrong_shape": "its JSON holds no answer",
    "too_long": "what it sent is longer than any answer",
    "refused": "it refused the request",
    "no_text": "its answer has no text",
}
"""By cause of a failed attempt, the end of a sentence that begins with the endpoint."""

AGAIN = frozenset({"rate_limited", "server_error", "timeout", "connection", "html", "empty", "broken_json", "wrong_shape", "too_long"})
"""Causes that asking again may mend."""


class AskFailed(Exception):
    """One request that got no answer. `cause` is a key of `CAUSES`; `detail` is what was sent, shortened, without the key."""

    def __init__(self, cause: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(f"{CAUSES[cause]}{f' ({detail})' if detail else ''}")
        self.cause, self.detail, self.retry_after_s = cause, detail, retry_after_s


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens, read and written."""

    read: float
    written: float

    def of(self, read: int, written: int) -> float:
        return (read * self.read + written * self.written) / 1e6


@dataclass(frozen=True)
class EndpointSettings:
    """One endpoint and the limits within which it is asked. Holds no key: only the name of the environment variable that does.

    Attributes
    ----------
    url : up to and with `/v1`
    model : its name there; part of an explanation's provenance
    key_env : environment variable with the key; unset means that none is sent
    timeout_s : for one whole answer
    attempts : how often a request is tried in all
    first_wait_s : wait before the second attempt, doubling from there, at most a minute; the server's Retry-After wins
    concurrency : requests at a time
    per_minute : requests a minute; None for no limit
    prices : None where the tokens cost nothing
    cost_limit : money that may be spent in this folder in all; None for no limit
    image_tokens : the most tokens that one picture can cost, to reserve money for a request before it is sent
    """

    url: str
    model: str
    key_env: str = "FACET_ENDPOINT_KEY"
    timeout_s: float = 120.0
    attempts: int = 5
    first_wait_s: float = 1.0
    concurrency: int = 4
    per_minute: float | None = None
    prices: Prices | None = None
    cost_limit: float | None = None
    image_tokens: int = 3000

    def check(self) -> None:
        """Throws `invalid_request` for settings that mean nothing or would give the key away."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _invalid(f"{self.url!r} is no address of an endpoint.", "Give one such as http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise _invalid("The endpoint's address holds a user, a password or a query.", f"Put the key into {self.key_env}.")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_env):
            raise _invalid("The key's environment variable has no name that one can have.", "Name the variable, never the key itself.")
        if self.timeout_s <= 0 or self.attempts < 1 or self.concurrency < 1 or (self.per_minute is not None and self.per_minute <= 0):
            raise _invalid("Timeout, attempts, concurrency and requests a minute have to be above zero.", "Correct them.")
        if self.cost_limit is not None and self.prices is None:
            raise _invalid("A cost limit needs prices to count with.", "Give the prices of a million tokens read and written.")

    def key(self) -> str | None:
        """The key, from the environment only. Throws `invalid_request` for one that no header can carry."""
        key = os.environ.get(self.key_env, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise _invalid(f"{self.key_env} holds something that is no key.", "Write one there, or unset it.")
        return key or None


def _invalid(message: str, fix: str) -> FacetError:
    return FacetError(message, "invalid_request", fix=fix)
