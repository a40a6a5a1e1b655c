from __future__ import annotations

import re
from pathlib import Path

from facet_worker.errors import ERRORS

TABLE = Path(__file__).parents[2] / "lib" / "core" / "errors.ts"


def test_every_code_has_the_row_that_the_app_has() -> None:
    rows = re.findall(r'^ {2}(\w+): \{\s*status: (\d+),\s*retry: (\w+),\s*fix: "([^"]*)",?\s*\}', TABLE.read_text(), re.MULTILINE)
    theirs = {code: (int(status), retry == "true", fix) for code, status, retry, fix in rows}
    assert len(theirs) > 30
    assert {code: theirs[code] for code in ERRORS} == ERRORS
