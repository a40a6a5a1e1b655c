"""What a worker counts, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class _Memory(Collector):
    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self.read = read

    def collect(self) -> Any:
        gauge = GaugeMetricFamily("facet_memory_bytes", "Memory of the model's device.", labels=["kind"])
        for kind, size in self.read().items():
            gauge.add_metric([kind], size)
        yield gauge


class Metrics:
    """One worker's; several may live in one process."""

    def __init__(self, waiting: Callable[[], int], running: Callable[[], int], memory: Callable[[], Mapping[str, int]]) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "facet_requests", "Requests that ended, by how: ok, or the error's code.", ["endpoint", "outcome"], registry=registry
        )
        self.tokens = Counter("facet_tokens", "Tokens written, over all arms.", registry=registry)
        self.first_token = Histogram(
            "facet_first_token_seconds",
            "From a request's arrival to its first token, waiting included.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.speed = Histogram(
            "facet_tokens_per_second",
            "Of each run, over all arms, from its first token to its last.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
            registry=registry,
        )
        self.attributions = Histogram(
            "facet_attribution_seconds",
            "Of each attribution's passes forward and back, waiting and ablations left out, by whether activations were computed again for want of memory.",
            ["recomputed"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.ablations = Counter("facet_ablations", "Features taken out alone, to check an attribution.", registry=registry)
        Gauge("facet_queue_length", "Requests that wait.", registry=registry).set_function(waiting)
        Gauge("facet_running", "Requests that the engine works on.", registry=registry).set_function(running)
        registry.register(_Memory(memory))

    def attribution(self, event: Mapping[str, Any], recomputed: bool) -> None:
        """Counts one event of an attribution."""
        if event["type"] == "result":
            spent = event["result"]["timingsMs"]
            self.attributions.labels(str(recomputed).lower()).observe((spent["states"] + spent["gradient"]) / 1e3)
        elif event["type"] == "measured":
            self.ablations.inc(len(event["effects"]))


class RunClock:
    """Counts one run's tokens as they pass; `seconds` since it arrived."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.arrived = time.perf_counter()
        self.first: float | None = None
        self.last = 0.0
        self.tokens = 0

    def token(self) -> None:
        self.last = time.perf_counter()
        self.tokens += 1
        self.metrics.tokens.inc()
        if self.first is None:
            self.first = self.last
            self.metrics.first_token.observe(self.first - self.arrived)

    def end(self) -> None:
        if self.first is not None and self.last > self.first:
            self.metrics.speed.observe((self.tokens - 1) / (self.last - self.first))

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.arrived
