"""Requests of several clients as one batch: each has an iterator of its own, and whoever runs out of events moves all of them on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.jobs import Asked, Together

log = logging.getLogger("facet_worker")

Event = dict[str, Any]


@dataclass
class _Guest:
    check: Callable[[Event], None]
    told: deque[Event | FacetError] = field(default_factory=deque)
    leaving: bool = False


class Mixer:
    """For one thread. `explain` makes of what the model throws what its clients are told."""

    def __init__(self, engine: Any, explain: Callable[[Exception], FacetError]) -> None:
        self.engine, self.explain = engine, explain
        self.together = Together(engine.hooked)
        self.guests: dict[int, _Guest] = {}
        self.last = 0

    def generate(self, asked: Asked, check: Callable[[Event], None]) -> Iterator[Event]:
        """The events of `Engine.generate`, whatever else is under way. `check` sees the first before the model runs, and may refuse."""
        guest = _Guest(check)
        job = self.engine.job(replace(asked, cancelled=lambda: guest.leaving or asked.cancelled()))
        self.last = owner = self.last + 1
        self.guests[owner] = guest
        self.together.add(owner, job)
        try:
            while True:
                while not guest.told:
                    self._step()
                event = guest.told.popleft()
                if isinstance(event, FacetError):
                    raise event
                yield event
                if event["type"] == "done":
                    return
        finally:
            guest.leaving = True
            del self.guests[owner]
            # Whoever leaves early has rows in the batch still, and nobody else may be there to move on without them.
            if owner in self.together.jobs:
                self._step()

    def _tell(self, owner: int, event: Event | FacetError) -> None:
        guest = self.guests.get(owner)
        if guest is None or guest.leaving:
            return
        try:
            if isinstance(event, dict) and event["type"] == "meta":
                guest.check(event)
        except FacetError as refused:
            event, guest.leaving = refused, True
        guest.told.append(event)

    def _step(self) -> None:
        entering: int | None = None
        failure: Exception | None = None
        try:
            for owner, event in self.together.step():
                # Behind its first event a request's prompt passes through the model.
                entering = owner if isinstance(event, dict) and event["type"] == "meta" else None
                self._tell(owner, event)
        except Exception as error:
            log.exception("A pass through the model failed.")
            failure = error.with_traceback(None)
        if failure is None:
            return
        explained = self.explain(failure)
        if entering is not None and any(not len(run.logits) for run in self.together.jobs[entering].runs):
            # While its own prompt passed, which is nobody else's concern.
            self.together.batch.failed[entering] = explained
            return
        # The batch as a whole is lost: some layers hold a token that others lack.
        self.together = Together(self.engine.hooked)
        for guest in self.guests.values():
            guest.told.append(explained)
