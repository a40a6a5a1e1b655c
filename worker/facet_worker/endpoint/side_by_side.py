"""Features worked on side by side, as many at a time as the endpoint may get requests, until one of them says that there is no going on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from facet_worker.endpoint.limits import CostLimitReached
from facet_worker.errors import FacetError

Job = TypeVar("Job")
Stop = CostLimitReached | FacetError


def side_by_side(
    jobs: Iterable[Job], work: Callable[[Job], None], many: int, stopped: Callable[[], bool], stop: Callable[[Stop], None]
) -> None:
    """Does `work` on every job, `many` at a time; jobs are taken as they are needed.

    Parameters
    ----------
    stopped : whether no further job is to begin
    stop : told of a limit or of a typed error; any other error is thrown
    """
    with ThreadPoolExecutor(many) as pool:
        under_way: set[Future[None]] = set()
        try:
            for job in jobs:
                if stopped():
                    break
                under_way.add(pool.submit(work, job))
                if len(under_way) >= 2 * many:
                    under_way = _settle(under_way, stop)
            while under_way:
                under_way = _settle(under_way, stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _settle(under_way: set[Future[None]], stop: Callable[[Stop], None]) -> set[Future[None]]:
    done, rest = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        error = future.exception()
        if isinstance(error, CostLimitReached | FacetError):
            stop(error)
        elif error is not None:
            raise error
    return rest
