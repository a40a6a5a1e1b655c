"""The door for tests and measurements: hidden states and logits as further lines, and answers that are given instead of chosen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from facet_worker.engine import HookEvent, Tap

Say = Callable[[dict[str, Any]], None]


def encoded(values: Tensor) -> str:
    """base64 of little-endian float32."""
    return base64.b64encode(values.detach().float().cpu().contiguous().numpy().astype("<f4").tobytes()).decode()


def tap_of(asked: Mapping[str, Any], say: Say) -> Tap:
    """What a request's `tap` asks for, said line by line."""

    def on_hidden(event: HookEvent) -> None:
        rows, width = event.hidden.shape
        arrays = {"hidden": encoded(event.hidden), "output": encoded(event.output)}
        say({"type": "tap_hidden", "arm": event.arm, "first": event.first, "rows": rows, "width": width, **arrays})

    def on_logits(arm: str, i: int, logits: Tensor) -> None:
        say({"type": "tap_logits", "arm": arm, "i": i, "logits": encoded(logits)})

    return Tap(on_hidden if asked.get("hidden") else None, on_logits if asked.get("logits") else None, asked.get("force", {}))
