"""What a step says of its pace."""

from __future__ import annotations

import io
import re

from facet_worker.pipeline.progress import Progress


def test_says_rate_and_time_left_by_what_this_process_did() -> None:
    out = io.StringIO()
    bar = Progress("cache", "image", 100, done=40, out=out)
    # As if it had begun a minute ago.
    bar._bar.start_t -= 60
    bar._bar.last_print_t -= 60
    bar.note("layer 1")
    bar.advance(30)
    # Written before the end, and by the 30 of its own: one in two seconds leaves a minute for the other 30.
    assert re.search(r"cache: +70%.* 70/100 \[01:00<(01:00|00:59), +2\.0\ds/image, layer 1\]", out.getvalue())
    bar.close()
