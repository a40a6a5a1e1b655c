"""One engine behind its waiting line: what every endpoint runs through, whatever it speaks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from facet_worker.engine import Engine, Pixels, Tap
from facet_worker.errors import FacetError
from facet_worker.serve import device as devices
from facet_worker.serve.admission import admission_of
from facet_worker.serve.line import Line
from facet_worker.serve.metrics import Metrics, RunClock
from facet_worker.serve.settings import Settings

log = logging.getLogger("facet_worker")

Cancelled = Callable[[], bool]
Work = Callable[[Cancelled, Callable[[dict[str, Any]], None]], Iterator[dict[str, Any]]]
"""What runs in the engine's thread: told when to stop, given a way to say something beside the events that it yields."""


class _End:
    pass


class EngineHost:
    """Runs requests on an engine one at a time, in a thread of their own. For one event loop.

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
        self.line = Line(self.settings.queue)
        self.metrics = Metrics(lambda: len(self.line), lambda: int(self.line.running is not None), lambda: devices.memory_use(self.device))
        self.broken: str | None = None
        self.on_broken: Callable[[], None] = lambda: None
        self.closed: FacetError | None = None
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

        def work(cancelled: Cancelled, say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            queued = 1e3 * clock.seconds
            _refuse_long_text(self.engine, request)
            for event in self.engine.generate(request, images(), units, lambda: cancelled() or enough(), tap(say) if tap else None):
                if event["type"] == "meta":
                    # Told before the model runs, so that what does not fit is refused in time.
                    prompt = event["prompt"]
                    self._admit(prompt["imageTokens"] + prompt["textTokens"], len(event["arms"]), request)
                elif event["type"] == "token":
                    clock.token()
                elif event["type"] == "receipt":
                    event["receipt"]["timingsMs"]["queued"] = round(queued, 2)
                yield event

        try:
            async for event in self._in_turn(endpoint, work):
                yield event
        finally:
            clock.end()

    def _admit(self, positions: int, arms: int, request: Mapping[str, Any]) -> None:
        if self.admission:
            latents = next(info["dictionary"]["numLatents"] for info in self.infos if info["dictionary"]["ref"] == request["dictionary"])
            self.admission(positions, arms, request["sampling"]["maxTokens"], latents)

    async def features(self, request: dict[str, Any], image: Callable[[], Pixels]) -> dict[str, Any]:
        """`ImageFeatures` of a valid `AnalyseRequest`. Throws as `generate` does."""

        def work(cancelled: Cancelled, _say: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
            yield self.engine.features(request, [image()], cancelled)

        found: dict[str, Any] = {}
        async for event in self._in_turn("features", work):
            if event.get("type") != "queued":
                found = event
        return found

    async def _in_turn(self, endpoint: str, work: Work) -> AsyncGenerator[dict[str, Any], None]:
        outcome = "ok"
        mailbox: asyncio.Queue[Any] = asyncio.Queue()
        gone = threading.Event()
        started = False

        def start() -> None:
            nonlocal started
            started = True
            loop = asyncio.get_running_loop()

            def say(item: Any) -> None:
                loop.call_soon_threadsafe(put, item)

            job = loop.run_in_executor(self._thread, self._job, work, gone.is_set, say)
            job.add_done_callback(finish)

        def put(item: Any) -> None:
            mailbox.put_nowait(item)

        def finish(job: asyncio.Future[BaseException | None]) -> None:
            # The turn ends here and not when the client is gone: the engine's thread still works on the last token then.
            self.line.leave(ticket)
            put(job.exception() or job.result() or _End())

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

    def _job(self, work: Work, cancelled: Cancelled, say: Callable[[Any], None]) -> BaseException | None:
        """In the engine's thread. What went wrong is an answer, so that no frame of the run, and no tensor in it, outlives this."""
        try:
            events = work(cancelled, say)
            try:
                for event in events:
                    if cancelled():
                        break
                    say(event)
            finally:
                close = getattr(events, "close", None)
                if close:
                    close()
            return None
        except FacetError as error:
            return error.with_traceback(None)
        except Exception as error:
            full = devices.is_out_of_memory(error)
            if not full:
                log.exception("A run failed.")
        if full:
            devices.release_memory(self.device)
            log.warning("A run was out of memory.")
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

    def refuse_early(self) -> None:
        """Before a body is read: throws `engine_busy` where the line is full, `engine_unavailable` where the worker is being stopped."""
        if self.closed:
            raise self.closed
        if self.line.full:
            raise self.line.busy()

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


def _refuse_long_text(engine: Engine, request: Mapping[str, Any]) -> None:
    """Throws `prompt_too_long` where the words alone leave no room, before any picture is decoded."""
    prompter: Any = getattr(engine, "prompter", None)
    if prompter is None:
        return
    texts = [part["text"] for message in request["messages"] for part in message["content"] if part["type"] == "text"]
    most, room = request["sampling"]["maxTokens"], prompter.room
    tokenizer = prompter.processor.tokenizer
    positions = sum(len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) for text in texts)
    if positions + most > room:
        raise FacetError(
            f"The prompt's words take {positions} positions and the answer up to {most}; the model has room for {room} in all.",
            "prompt_too_long",
        )
