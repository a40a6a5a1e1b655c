from __future__ import annotations

import pytest

from facet_worker.errors import FacetError
from facet_worker.serve.line import Line, Ticket


class Watcher:
    def __init__(self, line: Line) -> None:
        self.turns = 0
        self.positions: list[int] = []
        self.ticket: Ticket = line.enter(self.turn, self.positions.append)

    def turn(self) -> None:
        self.turns += 1


def test_serves_in_order_and_tells_positions_only_when_they_change() -> None:
    line = Line(3)
    first, second, third, fourth = (Watcher(line) for _ in range(4))
    assert [(w.turns, w.positions) for w in (first, second, third, fourth)] == [(1, []), (0, [0]), (0, [1]), (0, [2])]
    with pytest.raises(FacetError, match="3 requests are already waiting") as caught:
        Watcher(line)
    assert caught.value.code == "engine_busy"
    assert caught.value.retry_after_s is not None
    line.leave(third.ticket)
    assert (second.positions, third.turns, fourth.positions) == ([0], 0, [2, 1])
    line.leave(first.ticket)
    line.leave(first.ticket)
    assert (second.turns, fourth.turns, fourth.positions) == (1, 0, [2, 1, 0])
    line.leave(second.ticket)
    line.leave(fourth.ticket)
    assert (third.turns, fourth.turns, line.running, len(line)) == (0, 1, 0, 0)
    assert Watcher(line).turns == 1
