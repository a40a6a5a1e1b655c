"""The one exception of this package: its message is a sentence for a person, its code one of the wire contract's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_TABLE: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "wire" / "errors.json").read_text("utf-8"))

ERRORS: dict[str, tuple[int, bool, str]] = {code: (row["status"], row["retry"], row["fix"]) for code, row in _TABLE.items()}
"""Of each code the HTTP status, whether the same request may succeed later, and what the reader can do: the table of lib/core/errors.ts."""


class FacetError(RuntimeError):
    """Something that the person can mend: a missing file, a model of an unknown shape, a hook that attaches nowhere.

    Parameters
    ----------
    message : a sentence
    code : a key of `ERRORS`
    fix : what to do, where there is something more exact to say than the code's own row does
    retry_after_s : after how many seconds trying again can help, where that is known
    """

    def __init__(self, message: str, code: str = "internal", *, fix: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status, self.retry, usual = ERRORS[code]
        self.fix = fix or usual
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, Any]:
        """The wire form, the same in every answer and in every stream."""
        return {"code": self.code, "message": str(self), "fix": self.fix, "retry": self.retry}
