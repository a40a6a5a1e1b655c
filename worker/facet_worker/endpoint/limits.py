"""How fast and for how much money an endpoint is asked."""

from __future__ import annotations

import threading
import time

from facet_worker.endpoint.settings import EndpointSettings
from facet_worker.endpoint.store import Store


class CostLimitReached(Exception):
    """The next request could cost more than what is left. `left` is money; `needed` what that request may cost."""

    def __init__(self, left: float, needed: float) -> None:
        super().__init__(f"The cost limit leaves {left:.4f}; the next request may cost {needed:.4f}.")
        self.left, self.needed = left, needed


class Pacer:
    """Spreads requests evenly over a minute, and lets everybody wait when the server asks for it."""

    def __init__(self, per_minute: float | None) -> None:
        self.gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Returns when it is this request's turn."""
        with self._lock:
            at = max(time.monotonic(), self._next)
            self._next = at + self.gap
        time.sleep(max(0.0, at - time.monotonic()))

    def pause(self, seconds: float) -> None:
        """Nobody is let through for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Budget:
    """Keeps what all requests of a folder cost below the limit, counting what is under way at the most that it can cost."""

    def __init__(self, settings: EndpointSettings, store: Store) -> None:
        self.limit, self.store = settings.cost_limit, store
        self._changed = threading.Condition()

    def reserve(self, money: float) -> int:
        """Takes money for one request; waits where only what is under way stands against it. Throws `CostLimitReached`."""
        with self._changed:
            while self.limit is not None:
                spent, reserved = self.store.spent()
                if spent + reserved + money <= self.limit:
                    break
                if not reserved:
                    raise CostLimitReached(max(0.0, self.limit - spent), money)
                self._changed.wait()
            return self.store.reserve(money)

    def settle(self, number: int, money: float) -> None:
        with self._changed:
            self.store.settle(number, money)
            self._changed.notify_all()

    def left(self) -> float | None:
        """Money; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.store.spent()[0])
