"""The engine's events → an OpenAI chat completion, whole or in chunks, with the receipts that say what was really done. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.serve.chat.body import ChatRequest

Event = dict[str, Any]


@dataclass
class _Arm:
    """What one arm wrote, up to its first stop text; `held` is the end of it that may still become one."""

    text: str = ""
    held: str = ""
    stopped: bool = False
    receipt: dict[str, Any] | None = None

    def add(self, text: str, stops: Sequence[str]) -> str:
        """Takes a token's text; returns what is certain to stay."""
        if self.stopped:
            return ""
        waiting = self.held + text
        at = min((found for stop in stops if (found := waiting.find(stop)) >= 0), default=-1)
        if at >= 0:
            self.stopped, sure, self.held = True, waiting[:at], ""
        else:
            kept = max((n for stop in stops for n in range(1, len(stop)) if waiting.endswith(stop[:n])), default=0)
            sure, self.held = waiting[: len(waiting) - kept], waiting[len(waiting) - kept :]
        self.text += sure
        return sure

    def flush(self) -> str:
        """What was held back, once nothing follows."""
        rest, self.held = self.held, ""
        self.text += rest
        return rest

    @property
    def finish(self) -> str:
        """`stop` or `length`."""
        return "stop" if self.stopped or (self.receipt or {}).get("finish") == "stop" else "length"


@dataclass
class ChatAnswer:
    """Follows one run.

    Attributes
    ----------
    id, created : of the completion; `created` in seconds since 1970
    enough : told once every arm has met a stop text or ended, so that the run may be ended: its receipts are still wanted
    """

    chat: ChatRequest
    id: str
    created: int
    enough: Callable[[], None] = lambda: None
    arms: dict[str, _Arm] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.chat.request["dictionary"], "choices": choices}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, logprobs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": {"content": logprobs} if logprobs else None, "finish_reason": finish}
        chunk = self._frame("chat.completion.chunk", [choice])
        return {**chunk, "usage": None} if self.chat.include_usage else chunk

    def _token(self, event: Event) -> Iterator[dict[str, Any]]:
        arm = self.arms[event["arm"]]
        open_before = not arm.stopped
        sure = arm.add(event["text"], self.chat.stop)
        if event["arm"] != "steered":
            return
        entry = [_logprob(event)] if self.chat.logprobs and open_before and not arm.stopped else []
        self.logprobs += entry
        if sure or entry:
            yield self._chunk({"content": sure}, logprobs=entry)

    def feed(self, event: Event) -> Iterator[dict[str, Any]]:
        """The chunks that an event makes. Throws what an `error` event says, and `engine_failed` or `clamp_nowhere` where no receipt vouches for the text."""
        kind = event["type"]
        if kind == "meta":
            self.arms = {arm: _Arm() for arm in event["arms"]}
            self.prompt, self.engine = event["prompt"], event["engine"]
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "token":
            yield from self._token(event)
            self._perhaps_enough()
        elif kind == "receipt":
            self.arms[event["receipt"]["arm"]].receipt = event["receipt"]
            self._perhaps_enough()
        elif kind == "error":
            raise FacetError(event["error"]["message"], event["error"]["code"], fix=event["error"]["fix"])
        elif kind == "done":
            yield from self._last()

    def _perhaps_enough(self) -> None:
        if all(arm.stopped or arm.receipt for arm in self.arms.values()):
            self.enough()

    def _last(self) -> Iterator[dict[str, Any]]:
        steered = self._vouched()
        rest = steered.flush()
        if rest:
            yield self._chunk({"content": rest})
        yield {**self._chunk({}, steered.finish), "facet": self._facet()}
        if self.chat.include_usage:
            yield {**self._frame("chat.completion.chunk", []), "usage": self._usage()}

    def completion(self) -> dict[str, Any]:
        """The whole answer, after `done`."""
        steered = self._vouched()
        steered.flush()
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": steered.text, "refusal": None},
            "logprobs": {"content": self.logprobs} if self.chat.logprobs else None,
            "finish_reason": steered.finish,
        }
        return {**self._frame("chat.completion", [choice]), "usage": self._usage(), "facet": self._facet()}

    def _vouched(self) -> _Arm:
        """The steered arm, if its receipt says that every clamp met a position."""
        arm = self.arms.get("steered")
        if arm is None or arm.receipt is None:
            raise FacetError("The run ended without a receipt, so its text cannot be trusted.", "engine_failed")
        if arm.receipt["finish"] == "cancelled" and not arm.stopped:
            raise FacetError("The run was ended before its answer was whole.", "cancelled")
        for clamp in arm.receipt["clamps"]:
            if not any(clamp[kind]["planned"] for kind in ("image", "prompt", "generated")):
                raise FacetError(
                    f"The clamp on feature {clamp['feature']} was applied nowhere: the answer ended before a generated token passed through the hook.",
                    "clamp_nowhere",
                    fix="Ask for a longer answer, or clamp the image or the prompt.",
                )
        return arm

    def _usage(self) -> dict[str, int]:
        read = self.prompt["imageTokens"] + self.prompt["textTokens"]
        receipt = self.arms["steered"].receipt or {}
        return {"prompt_tokens": read, "completion_tokens": receipt["tokens"], "total_tokens": read + receipt["tokens"]}

    def _facet(self) -> dict[str, Any]:
        receipt = self.arms["steered"].receipt or {}
        controls = []
        for name, arm in self.arms.items():
            if name != "steered" and arm.receipt is not None:
                arm.flush()
                controls.append({"arm": name, "text": arm.text, "finish_reason": arm.finish, "receipt": arm.receipt})
        said = {"outcome": receipt["outcome"], "reason": receipt["reason"]}
        return {**said, "receipt": receipt, "controls": controls, "unknown": self.prompt.get("unknown", [])}


def _logprob(event: Event) -> dict[str, Any]:
    def entry(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    others = [entry(other["text"], other["logprob"]) for other in event["alternatives"]]
    return {**entry(event["text"], event["logprob"]), "top_logprobs": others}


def openai_error(error: FacetError, param: str | None = None) -> dict[str, Any]:
    """`{error}` in OpenAI's shape, with our code, and with what to do and whether trying again can help beside it."""
    named = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = named.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    ours = {"code": error.code, "fix": error.fix, "retry": error.retry}
    return {"error": {"message": f"{error} {error.fix}", "type": kind, "param": param or getattr(error, "param", None) or None, **ours}}
