"""Questions with pictures to an endpoint: answered from the folder where they were asked before, else sent, paced, paid for and retried."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from PIL import Image
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from facet_worker.endpoint.client import Answer, Client
from facet_worker.endpoint.limits import Budget, Pacer
from facet_worker.endpoint.settings import AGAIN, AskFailed, EndpointSettings
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError

LONGEST_WAIT_S = 60.0
GIVE_UP_AFTER = 12
"""Requests in a row that no attempt of theirs got through to the endpoint: it is down, and the rest would only fail too."""

_UNREACHED = frozenset({"connection", "timeout", "html", "empty", "server_error", "rate_limited"})


def picture_part(picture: Image.Image) -> dict[str, Any]:
    """A picture as a part of a message, losslessly, so that the same picture makes the same request."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"}}


class EndpointAsker:
    """One endpoint with its limits, and the store of one folder. Safe for several threads."""

    def __init__(self, settings: EndpointSettings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.client, self.pacer, self.budget = Client(settings), Pacer(settings.per_minute), Budget(settings, store)
        self.counts: Counter[str] = Counter()
        """`sent`, `answered`, `stored` and each cause: attempts, but for `stored`."""
        self._flights: dict[str, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._row = 0

    def close(self) -> None:
        self.client.close()

    def ask(self, text: str, pictures: Sequence[Image.Image] = (), max_tokens: int = 256, model: str | None = None) -> Answer:
        """One question with its pictures before it, at temperature 0, to the endpoint's model or another one there.

        Raises
        ------
        AskFailed : no answer, after every attempt.
        CostLimitReached : nothing was sent.
        FacetError : no request would fare better.
        """
        content = [*(picture_part(picture) for picture in pictures), {"type": "text", "text": text}]
        request = {
            "model": model or self.settings.model, "messages": [{"role": "user", "content": content}], "max_tokens": max_tokens, "temperature": 0,
        }  # fmt: skip
        body = json.dumps(request, sort_keys=True).encode()
        key = hashlib.sha256(body).hexdigest()
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            return flight.result()
        try:
            flight.set_result(self._answer(key, body, text, len(pictures), max_tokens))
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._flights[key]
        return flight.result()

    def _answer(self, key: str, body: bytes, text: str, pictures: int, max_tokens: int) -> Answer:
        known = self.store.answer(key)
        if known is not None:
            self._count("stored")
            return known
        most = self._most(text, pictures, max_tokens)
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(self.settings.attempts),
                retry=retry_if_exception(lambda error: isinstance(error, AskFailed) and error.cause in AGAIN),
                wait=self._wait,
                reraise=True,
            ):
                with attempt:
                    answer = self._attempt(key, body, most)
        except AskFailed as error:
            self._note_failure(error)
            raise
        with self._lock:
            self._row = 0
        return answer

    def _most(self, text: str, pictures: int, max_tokens: int) -> float:
        # A token is at least a byte; the template around a message takes some dozens.
        read = pictures * self.settings.image_tokens + len(text.encode()) + 64
        return self.settings.prices.of(read, max_tokens) if self.settings.prices else 0.0

    def _attempt(self, key: str, body: bytes, most: float) -> Answer:
        number = self.budget.reserve(most)
        cost = most
        try:
            self.pacer.wait()
            self._count("sent")
            found = self.client.send(body)
            answer = Answer(found.text, found.finish, found.read, found.written, found.created_at, key)
            # Before the money is settled: a kill in between must not lose what was paid for.
            self.store.keep_answer(answer)
            self._count("answered")
            if self.settings.prices and found.read is not None and found.written is not None:
                cost = self.settings.prices.of(found.read, found.written)
            return answer
        except AskFailed as error:
            self._count(error.cause)
            # Refusals cost nothing; of the rest nobody knows whether the tokens were written.
            if error.cause in ("rate_limited", "server_error", "refused"):
                cost = 0.0
            if error.retry_after_s is not None:
                self.pacer.pause(min(error.retry_after_s, LONGEST_WAIT_S))
            raise
        except FacetError:
            cost = 0.0
            raise
        finally:
            self.budget.settle(number, cost)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, AskFailed) and error.retry_after_s is not None:
            return min(error.retry_after_s, LONGEST_WAIT_S)
        return float(min(self.settings.first_wait_s * 2 ** (state.attempt_number - 1), LONGEST_WAIT_S))

    def _note_failure(self, error: AskFailed) -> None:
        with self._lock:
            self._row = self._row + 1 if error.cause in _UNREACHED else 0
            down = self._row >= GIVE_UP_AFTER
        if down:
            fix = "Start it again; what was answered is kept."
            raise FacetError(
                f"{GIVE_UP_AFTER} requests in a row failed at the endpoint: {error}.", "engine_unavailable", fix=fix
            ) from error

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def report(self) -> dict[str, Any]:
        """Attempts by what came of them, and money where tokens cost any."""
        causes = {cause: n for cause, n in sorted(self.counts.items()) if cause not in ("sent", "answered", "stored")}
        out: dict[str, Any] = {name: self.counts[name] for name in ("sent", "answered", "stored")}
        out["failed_attempts"] = causes
        if self.settings.prices:
            out["spent"] = self.store.spent()[0]
            out["left"] = self.budget.left()
        return out
