"""The one exception of the pipeline: its message is a sentence for the person who ran the command."""

from __future__ import annotations


class FacetError(RuntimeError):
    """Something that the person can mend: a missing file, a model of an unknown shape, a hook that attaches nowhere."""
