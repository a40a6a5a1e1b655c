"""The Ray Serve application: `import_path: facet_worker.serve.ray_app:app` in a Serve config, or `facet-worker serve --replicas N` on one machine."""

import os
import secrets
import signal
import threading
from collections.abc import Callable
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from facet_worker.errors import FacetError
from facet_worker.serve.cluster.gateway import REPLICA, Gateway
from facet_worker.serve.cluster.options import GroupOptions
from facet_worker.serve.cluster.replica import Replica
from facet_worker.serve.server import address_of, bind

NAME = "facet"
_AT_A_GATEWAY = 1_000
"""Requests that a gateway holds at most, waiting and running: far more than any group can have."""


def app(args: GroupOptions) -> Application:
    """A replica group behind its gateway. `args` are those of the Serve config; `deployments` there overrides what is set here."""
    options = args.model_dump(mode="json")
    replicas: Any = serve.deployment(
        Replica,
        name=REPLICA,
        num_replicas=args.replicas,
        ray_actor_options={"num_cpus": args.cpus, "num_gpus": args.gpus},
        # What cannot run at once waits where whichever replica is free first takes it.
        max_ongoing_requests=args.at_once,
        max_queued_requests=args.queue,
        graceful_shutdown_timeout_s=args.grace + 5,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=5,
        health_check_timeout_s=30,
        # One replica after another, each stopped before its successor starts: a GPU is not there twice.
        rolling_update_percentage=0.2,
        max_surge_percent=0,
        max_constructor_retry_count=3,
    )
    gateway: Any = serve.deployment(
        Gateway,
        name="Gateway",
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=_AT_A_GATEWAY,
        max_queued_requests=_AT_A_GATEWAY,
        graceful_shutdown_timeout_s=args.grace + 10,
        health_check_period_s=5,
    )
    bound: Application = gateway.bind(options, replicas.bind(options))
    return bound


def start_ray(needed: float, **more: Any) -> None:
    """Joins the cluster of RAY_ADDRESS, else starts one on this machine: no dashboard, no usage statistics, little shared memory."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, **more)
        return
    # Only this process and its children know it; Ray would else write one into the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    settings: dict[str, Any] = {
        "num_cpus": max(os.cpu_count() or 1, int(needed + 1)),
        "include_dashboard": False,
        "object_store_memory": 256 << 20,
        "log_to_driver": False,
        **more,
    }
    for left in (2, 1, 0):
        try:
            ray.init(**settings)
            return
        except Exception as error:
            # Ray gives its own processes 30 s to appear, which a machine that is busy may not keep.
            ray.shutdown()
            if left == 0:
                said = str(error).splitlines()[0][:300]
                raise FacetError(
                    f"Ray did not start on this machine: {said}", "engine_unavailable", fix="See the logs in Ray's folder."
                ) from error


def serve_replicas(args: GroupOptions, host: str, port: int, ready: Callable[[str, list[str]], None], name: str = NAME) -> None:
    """Runs a group on this machine until SIGTERM or SIGINT, then lets running answers end. Throws `FacetError` where it does not start."""
    # Refused, and the port found, as for a worker of one process; Ray binds it itself.
    probe = bind(host, port, args.settings().token)
    address, port = address_of(probe), probe.getsockname()[1]
    probe.close()
    told = threading.Event()
    start_ray(args.replicas * args.cpus)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    try:
        serve.start(http_options={"host": host, "port": port})
        try:
            handle = serve.run(app(args), name=name, route_prefix="/")
        except RuntimeError as error:
            raise FacetError(
                f"The replicas did not start: {_why(name) or error}", "engine_unavailable", fix="See Ray's log of the replica."
            ) from error
        ready(address, handle.dictionaries.remote().result())
        told.wait()
        serve.delete(name)
    finally:
        serve.shutdown()
        ray.shutdown()


def _why(name: str) -> str | None:
    """What kept the replicas from starting, in their own words."""
    found = serve.status().applications.get(name)
    messages = [part.message for part in found.deployments.values() if part.message] if found else []
    lines = [line.strip() for message in messages for line in message.splitlines() if "Error" in line]
    return lines[-1][:500] if lines else None
