"""What a worker is started with, beside its model."""

from __future__ import annotations

from dataclasses import dataclass, field

PROTOCOL = 1
"""The wire's number, `wireProtocol` of lib/core/worker-wire.ts."""

MIB = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Limits and rights.

    Attributes
    ----------
    token : what clients must show; None lets everybody in who reaches the port
    taps : whether hidden states and logits may be asked for, and answers fixed: for tests and measurements
    queue : how many requests may wait for those that run
    concurrency : how many run at once, as one batch, where the model lets them
    request_bytes : of a request's body
    image_pixels : of all images of one request together
    max_positions : prompt and answer together, in tokens, where that is less than the model has room for; None: the model's own
    memory_bytes : what one run may take on the device; None: what the device has free once the model is loaded
    body_seconds : for which a request's body may take to arrive
    grace_seconds : for which running answers may go on after the worker was told to stop
    """

    token: str | None = field(default=None, repr=False)
    taps: bool = False
    queue: int = 16
    concurrency: int = 1
    request_bytes: int = 64 * MIB
    image_pixels: int = 50_000_000
    max_positions: int | None = None
    memory_bytes: int | None = None
    body_seconds: float = 60.0
    grace_seconds: float = 30.0
