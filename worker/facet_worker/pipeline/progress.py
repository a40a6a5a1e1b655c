"""A line of progress with rate and time left: redrawn on a terminal, written now and then into a log."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm


class Progress:
    """Counts units (images, features); what was done before this process does not make the rate look better than it is."""

    def __init__(self, what: str, unit: str, total: int, done: int = 0, out: TextIO | None = None) -> None:
        stream = out or sys.stderr
        # A log gets a line each half minute instead of a thousand carriage returns.
        pause = 0.2 if stream.isatty() else 30.0
        self._bar = tqdm(
            desc=what, unit=unit, unit_scale=False, total=total, initial=done, file=stream, mininterval=pause, maxinterval=pause, dynamic_ncols=True
        )  # fmt: skip

    def advance(self, count: int = 1) -> None:
        self._bar.update(count)

    def note(self, text: str) -> None:
        """Said behind the numbers from now on."""
        self._bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        self._bar.close()
