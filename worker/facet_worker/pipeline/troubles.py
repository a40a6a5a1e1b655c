"""What went wrong with some of many inputs while the rest went on: counted by cause, with a few examples, and told at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 5


class Troubles:
    """Causes (whole sentences without their full stop, the same for the same kind) with how often and with which inputs."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, cause: str, what: str | None = None, times: int = 1) -> None:
        """`what`: the input's name, kept for the first few in order of their names. Nothing is noted of what came no times."""
        if not times:
            return
        self.counts[cause] = self.counts.get(cause, 0) + times
        if what is not None:
            self.examples[cause] = sorted({*self.examples.get(cause, []), what})[:SHOWN]

    def take(self, other: Troubles) -> None:
        """Adds another's; the order in which several are taken changes nothing."""
        for cause, count in other.counts.items():
            self.counts[cause] = self.counts.get(cause, 0) + count
            names = sorted({*self.examples.get(cause, []), *other.examples.get(cause, [])})[:SHOWN]
            if names:
                self.examples[cause] = names

    def to_json(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda entry: (-entry[1], entry[0]))
        return [{"cause": cause, "count": count, "examples": self.examples.get(cause, [])} for cause, count in ordered]

    @classmethod
    def of_json(cls, rows: Sequence[Mapping[str, Any]]) -> Troubles:
        found = cls()
        for row in rows:
            found.counts[row["cause"]] = int(row["count"])
            if row["examples"]:
                found.examples[row["cause"]] = list(row["examples"])
        return found

    def lines(self) -> list[str]:
        """One sentence a cause, for people."""
        out = []
        for row in self.to_json():
            named = f" ({', '.join(row['examples'])}{', …' if row['count'] > len(row['examples']) else ''})" if row["examples"] else ""
            out.append(f"{row['count']:,} × {row['cause']}{named}.")
        return out
