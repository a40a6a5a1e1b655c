"""Keeps a Ray that is started on this machine, for itself alone, to this machine."""

from __future__ import annotations

import os
import sys


def stay_on_this_machine() -> None:
    """Ray's own processes then listen on 127.0.0.1 only. Does nothing where a cluster is joined, or Ray was imported already: it reads this once.

    Ray takes no address for all of its ports, but has this switch, which it throws itself where it runs no clusters (macOS, Windows).
    """
    if "ray" not in sys.modules and not os.environ.get("RAY_ADDRESS"):
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
