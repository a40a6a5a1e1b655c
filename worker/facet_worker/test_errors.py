from __future__ import annotations

import re
from pathlib import Path

import pytest

from facet_worker.errors import ERRORS, FacetError


def test_every_code_that_this_package_throws_has_a_row() -> None:
    thrown = set()
    for file in Path(__file__).parent.rglob("*.py"):
        if file.name.startswith("test_"):
            continue
        thrown.update(re.findall(r'FacetError\([^()]*(?:\([^()]*\)[^()]*)*,\s*"([a-z_]+)"', file.read_text()))
    assert {"clamp_nowhere", "invalid_request", "engine_failed"} <= thrown
    assert thrown <= set(ERRORS)


def test_carries_what_its_codes_row_says_unless_it_knows_better() -> None:
    error = FacetError("A sentence.", "engine_busy", retry_after_s=3)
    assert (error.status, error.retry, error.retry_after_s) == (503, True, 3)
    assert error.to_json() == {"code": "engine_busy", "message": "A sentence.", "fix": "Wait a moment and run again.", "retry": True}
    assert FacetError("A sentence.", "forbidden", fix="Do this.").to_json()["fix"] == "Do this."
    with pytest.raises(KeyError):
        FacetError("A sentence.", "no_such_code")
