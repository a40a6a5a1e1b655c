"""A bounded first-come, first-served waiting line in front of an engine, like lib/engine/queue.ts. For one event loop's thread."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from facet_worker.errors import FacetError


class Ticket:
    """A place in the line, or the turn."""

    def __init__(self, on_turn: Callable[[], None], on_position: Callable[[int], None]) -> None:
        self.on_turn, self.on_position = on_turn, on_position
        self.started: float | None = None
        self.told = -1
        self.left = False


class Line:
    """`concurrency` requests run at once and at most `bound` wait."""

    def __init__(self, bound: int, concurrency: int = 1) -> None:
        self.bound, self.concurrency = bound, concurrency
        self.active: list[Ticket] = []
        self.waiting: list[Ticket] = []
        self._usual_seconds = 5.0

    def __len__(self) -> int:
        return len(self.waiting)

    @property
    def running(self) -> int:
        """How many have the turn."""
        return len(self.active)

    @property
    def full(self) -> bool:
        return self.running >= self.concurrency and len(self.waiting) >= self.bound

    @property
    def wait_seconds(self) -> int:
        """About how long until there is a place again, 1 to 60: what runs last took, on average."""
        return max(1, min(60, math.ceil(self._usual_seconds / self.concurrency)))

    def busy(self) -> FacetError:
        """What a full line answers."""
        return FacetError(
            f"The engine is busy and {len(self.waiting)} requests are already waiting for it.",
            "engine_busy",
            retry_after_s=self.wait_seconds,
        )

    def enter(self, on_turn: Callable[[], None], on_position: Callable[[int], None]) -> Ticket:
        """Calls `on_turn` once it is this request's turn, perhaps at once; before, `on_position` with how many are ahead (0 = next) whenever that changes.

        Whoever gets a ticket must `leave` in the end. Throws `engine_busy`.
        """
        if self.full:
            raise self.busy()
        ticket = Ticket(on_turn, on_position)
        self.waiting.append(ticket)
        self._move()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Gives the place or the turn to the next. Harmless the second time."""
        if ticket.left:
            return
        ticket.left = True
        if ticket in self.active:
            self.active.remove(ticket)
            if ticket.started is not None:
                self._usual_seconds += 0.3 * (time.monotonic() - ticket.started - self._usual_seconds)
        else:
            self.waiting.remove(ticket)
        self._move()

    def _move(self) -> None:
        while self.running < self.concurrency and self.waiting:
            ticket = self.waiting.pop(0)
            self.active.append(ticket)
            ticket.started = time.monotonic()
            ticket.on_turn()
        for position, ticket in enumerate(self.waiting):
            if ticket.told != position:
                ticket.told = position
                ticket.on_position(position)
