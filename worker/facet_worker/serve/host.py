"""One engine behind its waiting line: what every endpoint runs through, whatever it speaks."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from facet_worker.engine import AttributionSize, Engine, Pixels, Tap
from facet_worker.errors import FacetError
from facet_worker.jobs import Asked
from facet_worker.serve import device as devices
from facet_worker.serve.admission import admission_of
from facet_worker.serve.line import Line
from facet_worker.serve.metrics import Metrics, RunClock
from facet_worker.serve.mixer import Mixer
from facet_worker.serve.settings import Settings

log = logging.getLogger("facet_worker")

Cancelled = Callable[[], bool]
Work = Callable[[Cancelled, Callable[[dict[str, Any]], None]], Iterator[dict[str, Any]]]
"""What runs in the engine's thread: told when to stop, given a way to say something beside the events that it yields."""


class _End:
    pass


class EngineHost:
    """Runs requests on an engine in a thread of its own: as one batch where the model lets them and `concurrency` says so, else one at a time. For one event
    loop.

    `on_broken` is told once when the device computes no more, which only a new process mends.
    """

    def __init__(self, engine: Engine, settings: Settings | None = None, device: torch.device | None = None) -> None:
        self.engine = engine
        self.settings = settings or Settings()
        hooked: Any = getattr(engine, "hooked", None)
        self.device: torch.device = device or (hooked.device if hooked else torch.device("cpu"))
        prompter: Any = getattr(engine, "prompter", None)
        if prompter is not None and self.settings.max_positions is not None:
            prompter.room = min(prompter.room, self.settings.max_positions)
        self.infos: list[dict[str, Any]] = [engine.info(ref) for ref in engine.dictionaries()]
        self.admission = admission_of(engine, self.device, self.settings.memory_bytes)
        mixes = self.settings.concurrency > 1 and all(info.get("batching") == "mixed" for info in self.infos)
        self.mixer = Mixer(engine, self._explain) if mixes else None
        self.concurrency = self.settings.concurrency if mixes else 1
        self.line = Line(self.settings.queue, self.concurrency)
        self.metrics = Metrics(lambda: len(self.line), lambda: self.line.running, lambda: devices.memory_use(self.device))
        self.broken: str | None = None
        self.on_broken: Callable[[], None] = lambda: None
        self.closed: FacetError | None = None
        self.being_read = 0
        self._held = 0
        self._open: set[asyncio.Queue[Any]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._checking: asyncio.Future[None] | None = None

    async def generate(
        self,
        request: dict[str, Any],
        images: Callable[[], Sequence[Pixels]],
        units: Mapping[int, float],
        tap: Callable[[Callable[[dict[str, Any]], None]], Tap] | None = None,
        endpoint: str = "generate",
        enough: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The engine's events, and `queued` ones before them while others are served. Closing it frees the engine within one token.

        Parameters
        ----------
        request : a valid `GenerateRequest` with its defaults
        images : decodes the pictures; called in the engine's thread when it is this request's turn
        tap : from a way to say further lines to what `Engine.generate` takes
        endpoint : under which the metrics count it
        enough : when true, the arms end within a token, with their receipts

        Throws `FacetError`: `engine_busy` at once where the line is full, `engine_out_of_memory`, `engine_unavailable`, and what the engine throws.
        """
        clock = RunClock(self.metrics)

        held = 0

        def check(meta: dict[str, Any]) -> None:
            # Told before the model runs, so that what does not fit is refused in time.
            nonlocal held
            held = self._admit(meta, request)

        def work(cancelled: Cancelled, say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            queued = 1e3 * clock.seconds
            _refuse_long_prompt(self.engine, request, images)
            asked = Asked(request, images(), units, lambda: cancelled() or enough(), tap(say) if tap else None)
            try:
                for event in self._events(asked, check):
                    if event["type"] == "token":
                        clock.token()
                    elif event["type"] == "receipt":
                        event["receipt"]["timingsMs"]["queued"] = round(queued, 2)
                    yield event
            finally:
                self._held -= held

        try:
            async for event in self._in_turn(endpoint, work):
                yield event
        finally:
            clock.end()

    def _events(self, asked: Asked, check: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
        if self.mixer is not None:
            yield from self.mixer.generate(asked, check)
            return
        for event in self.engine.generate(asked.request, asked.images, asked.units, asked.cancelled, asked.tap):
            if event["type"] == "meta":
                check(event)
            yield event

    def _admit(self, meta: Mapping[str, Any], request: Mapping[str, Any]) -> int:
        """Bytes that a run is given until it ends, by its first event. Throws as `Admission` does."""
        if self.admission is None:
            return 0
        prompt, latents = meta["prompt"], self._latents(request)
        positions = prompt["imageTokens"] + prompt["textTokens"]
        held = self.admission(positions, len(meta["arms"]), request["sampling"]["maxTokens"], latents, self._held)
        self._held += held
        return held

    def _latents(self, request: Mapping[str, Any]) -> int:
        return next(int(info["dictionary"]["numLatents"]) for info in self.infos if info["dictionary"]["ref"] == request["dictionary"])

    async def features(self, request: dict[str, Any], image: Callable[[], Pixels]) -> dict[str, Any]:
        """`ImageFeatures` of a valid `AnalyseRequest`. Throws as `generate` does."""

        def work(cancelled: Cancelled, _say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            yield self.engine.features(request, [image()], cancelled)

        found: dict[str, Any] = {}
        async for event in self._in_turn("features", work):
            if event.get("type") != "queued":
                found = event
        return found

    async def activations(self, request: dict[str, Any], images: Callable[[], Sequence[Pixels]]) -> dict[str, Any]:
        """What of a dictionary fires on an input, for a valid request of `POST /v1/activations`. Throws as `generate` does."""

        def work(cancelled: Cancelled, _say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            held = 0

            def admit(positions: int) -> None:
                nonlocal held
                if self.admission is not None:
                    held = self.admission(positions, 1, 0, self._latents(request), self._held)
                    self._held += held

            _refuse_long_prompt(self.engine, {**request, "sampling": {"maxTokens": 0}}, images)
            try:
                yield self.engine.activations(request, images(), cancelled, admit)
            finally:
                self._held -= held

        found: dict[str, Any] = {}
        async for event in self._in_turn("activations", work):
            if event.get("type") != "queued":
                found = event
        return found

    async def attribute(
        self, request: dict[str, Any], images: Callable[[], Sequence[Pixels]], units: Mapping[int, float]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a valid `AttributionRequest`; closing it frees the engine between two passes. Throws as `generate` does."""
        arrived, held, recompute = time.perf_counter(), 0, False

        def admit(size: AttributionSize) -> bool:
            nonlocal held, recompute
            if self.admission is not None:
                held, recompute = self.admission.attribution(size, self._latents(request), self._held)
                self._held += held
            return recompute

        def work(cancelled: Cancelled, _say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            queued = 1e3 * (time.perf_counter() - arrived)
            longest = len(request.get("answer") or ()) or request["maxTokens"]
            _refuse_long_prompt(self.engine, {**request, "sampling": {"maxTokens": longest}}, images)
            try:
                for event in self.engine.attribute(request, images(), units, cancelled, admit):
                    self.metrics.attribution(event, recompute)
                    if event["type"] == "result":
                        event["result"]["timingsMs"]["queued"] = round(queued, 2)
                    yield event
            finally:
                self._held -= held

        async for event in self._in_turn("attribute", work):
            yield event

    async def _in_turn(self, endpoint: str, work: Work) -> AsyncGenerator[dict[str, Any], None]:
        outcome, arrived = "ok", time.perf_counter()
        mailbox: asyncio.Queue[Any] = asyncio.Queue()
        gone = threading.Event()
        started = False

        def start() -> None:
            nonlocal started
            started = True
            self._launch(work, gone.is_set, put).add_done_callback(finish)

        def put(item: Any) -> None:
            mailbox.put_nowait(item)

        def finish(job: asyncio.Future[FacetError | None]) -> None:
            # The turn ends here and not when the client is gone: the engine's thread still works on the last token then.
            self.line.leave(ticket)
            put(job.result() or _End())

        try:
            if self.closed:
                raise self.closed
            ticket = self.line.enter(start, lambda position: put({"type": "queued", "position": position}))
            self._open.add(mailbox)
            try:
                while not isinstance(item := await mailbox.get(), _End):
                    if isinstance(item, BaseException):
                        raise item
                    yield item
            finally:
                gone.set()
                if not started:
                    self.line.leave(ticket)
        except FacetError as error:
            outcome = error.code
            raise
        except (GeneratorExit, asyncio.CancelledError):
            outcome = "cancelled"
            raise
        except BaseException:
            outcome = "internal"
            raise
        finally:
            self._open.discard(mailbox)
            self.metrics.requests.labels(endpoint, outcome).inc()
            log.info("%s: %s after %.2f s", endpoint, outcome, time.perf_counter() - arrived)

    def _launch(self, work: Work, cancelled: Cancelled, put: Callable[[Any], None]) -> asyncio.Future[FacetError | None]:
        """Runs work in the engine's thread, one event at a time, so that what is under way takes turns; answers what went wrong."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[FacetError | None] = loop.create_future()

        def say(item: Any) -> None:
            loop.call_soon_threadsafe(put, item)

        events = work(cancelled, say)

        def turn() -> None:
            going_on, error = self._advance(events, cancelled, say)
            if going_on:
                self._thread.submit(turn)
            else:
                loop.call_soon_threadsafe(ended.set_result, error)

        self._thread.submit(turn)
        return ended

    def _advance(
        self, events: Iterator[dict[str, Any]], cancelled: Cancelled, say: Callable[[Any], None]
    ) -> tuple[bool, FacetError | None]:
        """One event said: whether there may be more, and what went wrong. No frame of a run that failed, and no tensor in it, outlives this."""
        failure: Exception
        try:
            event = next(events, None)
            if event is not None and not cancelled():
                say(event)
                return True, None
            close = getattr(events, "close", None)
            if close:
                close()
            return False, None
        except FacetError as error:
            return False, error.with_traceback(None)
        except Exception as error:
            log.exception("A run failed.")
            failure = error.with_traceback(None)
        return False, self._explain(failure)

    def _explain(self, failure: Exception) -> FacetError:
        """What clients are told of what a model threw, with its memory given back and the device tried."""
        if devices.is_out_of_memory(failure):
            devices.release_memory(self.device)
            return devices.out_of_memory()
        try:
            devices.check_device(self.device)
        except devices.DeviceBroken as broken:
            return self._break(str(broken))
        return FacetError("The model failed while it answered.", "engine_failed")

    def _break(self, why: str) -> FacetError:
        if self.broken is None:
            self.broken = why
            log.critical("The device computes no more: %s", why)
            self.on_broken()
        return FacetError("The worker's device computes no more; it is being started anew.", "engine_unavailable", retry_after_s=30)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While a body is read. Throws `engine_busy` where the line is full or as many bodies as may wait are being read, `engine_unavailable` where the
        worker is being stopped."""
        if self.closed:
            raise self.closed
        if self.line.full or self.being_read >= self.settings.queue + self.concurrency:
            raise self.line.busy()
        self.being_read += 1
        try:
            yield
        finally:
            self.being_read -= 1

    async def check(self, patience: float = 10.0) -> None:
        """Runs the device. Throws `engine_unavailable` where it is broken, or gives no answer for `patience` seconds."""
        if self.closed:
            raise self.closed
        # One check at a time, whoever asks: a device that hangs would otherwise gather threads.
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(asyncio.to_thread(devices.check_device, self.device))
        try:
            await asyncio.wait_for(asyncio.shield(self._checking), patience)
        except TimeoutError:
            raise FacetError(f"The device gave no answer for {patience:g} s.", "engine_unavailable") from None
        except devices.DeviceBroken as broken:
            raise self._break(str(broken)) from None

    def close(self) -> None:
        """Takes no new requests; those that wait or run go on."""
        self.closed = FacetError("The worker is being stopped.", "engine_unavailable", retry_after_s=30)

    def end_all(self) -> None:
        """Ends what still waits or runs with an error."""
        self.close()
        for mailbox in self._open:
            mailbox.put_nowait(self.closed)


def _refuse_long_prompt(engine: Engine, request: Mapping[str, Any], images: Callable[[], Sequence[Pixels]]) -> None:
    """Throws `prompt_too_long` where the words and the pictures, by their sizes alone, leave no room: before any is decoded."""
    prompter: Any = getattr(engine, "prompter", None)
    if prompter is None:
        return
    texts = [part["text"] for message in request["messages"] for part in message["content"] if part["type"] == "text"]
    most, room = request["sampling"]["maxTokens"], prompter.room
    tokenizer = prompter.processor.tokenizer
    words = sum(len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) for text in texts)
    sizes = getattr(images, "sizes", ())
    shown = prompter.least_positions(sizes, math.prod(getattr(engine, "base_grid", None) or (1, 1)))
    if words + shown + most > room:
        also = f", its {len(sizes)} images at least {shown}" if shown else ""
        raise FacetError(
            f"The prompt's words take {words} positions{also} and the answer up to {most}; the model has room for {room} in all.",
            "prompt_too_long",
        )
