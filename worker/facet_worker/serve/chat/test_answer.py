from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from facet_worker.errors import FacetError
from facet_worker.serve.chat.answer import ChatAnswer, openai_error
from facet_worker.serve.chat.body import ChatFieldError, read_chat

Event = dict[str, Any]


def answer(enough: Any = lambda: None, **more: Any) -> ChatAnswer:
    chat = read_chat({"model": "m/d", "messages": [{"role": "user", "content": "a"}], **more})
    return ChatAnswer(chat, "chatcmpl-1", 1_700_000_000, enough)


def meta(*arms: str) -> Event:
    prompt = {"text": "<s> a", "imageTokens": 4, "textTokens": 3, "unknown": []}
    return {
        "type": "meta",
        "arms": list(arms) or ["steered"],
        "prompt": prompt,
        "engine": {"name": "torch", "version": "1", "dtype": "float32"},
    }


def token(text: str, arm: str = "steered") -> Event:
    return {
        "type": "token",
        "arm": arm,
        "i": 0,
        "id": 5,
        "text": text,
        "logprob": -0.5,
        "alternatives": [{"id": 5, "text": text, "logprob": -0.5}],
    }


def receipt(arm: str = "steered", finish: str = "stop", planned: int = 2, **more: Any) -> Event:
    count = {"planned": 0, "changed": 0}
    clamps = (
        []
        if arm == "baseline"
        else [{"feature": 3, "image": {"planned": planned, "changed": planned}, "prompt": count, "generated": count}]
    )
    outcome = "baseline" if arm == "baseline" else "steered"
    return {
        "type": "receipt",
        "receipt": {"arm": arm, "outcome": outcome, "reason": None, "finish": finish, "tokens": 3, "clamps": clamps, **more},
    }


def fed(to: ChatAnswer, events: Sequence[Event]) -> list[Any]:
    return [chunk for event in events for chunk in to.feed(event)]


def text_of(chunks: Sequence[Any]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


DONE: Event = {"type": "done"}


def test_streams_the_steered_arm_and_ends_with_the_receipt() -> None:
    to = answer(stream=True, stream_options={"include_usage": True})
    run = [meta("steered", "baseline"), token(" a"), token(" dog", "baseline"), token(" cat"), receipt("baseline"), receipt(), DONE]
    chunks = fed(to, run)
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * 5
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(chunks) == " a cat"
    *_, finish, usage = chunks
    assert finish["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert finish["facet"]["outcome"] == "steered"
    assert finish["facet"]["receipt"]["clamps"][0]["image"]["changed"] == 2
    assert [(control["arm"], control["text"]) for control in finish["facet"]["controls"]] == [("baseline", " dog")]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_gives_the_whole_answer_at_once() -> None:
    to = answer(logprobs=True, top_logprobs=1)
    fed(to, [meta(), token(" a"), token(" cat"), receipt(finish="length"), DONE])
    whole = to.completion()
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": " a cat", "refusal": None}
    assert whole["choices"][0]["finish_reason"] == "length"
    assert [entry["token"] for entry in whole["choices"][0]["logprobs"]["content"]] == [" a", " cat"]
    assert whole["choices"][0]["logprobs"]["content"][1]["top_logprobs"] == [{"token": " cat", "logprob": -0.5, "bytes": list(b" cat")}]
    assert whole["usage"]["total_tokens"] == 10
    assert whole["facet"]["receipt"]["arm"] == "steered"


@pytest.mark.parametrize(
    ("stops", "tokens", "text", "stopped"),
    [
        (["cat"], [" a", " cat", " on", " it"], " a ", True),
        (["a cat"], [" a", " cat", " on"], " ", True),
        (["a cap"], [" a", " cat", " on"], " a cat on", False),
        (["on it"], [" a", " cat", " on"], " a cat on", False),
        (["x", " on", "a c"], [" a", " cat", " on"], " ", True),
        (["aab"], ["a", "a", "a", "b"], "a", True),
    ],
)
def test_ends_before_a_stop_text_and_holds_back_what_may_become_one(stops: list[str], tokens: list[str], text: str, stopped: bool) -> None:
    told: list[int] = []
    to = answer(lambda: told.append(1), stop=stops)
    streamed = fed(to, [meta(), *(token(each) for each in tokens)])
    assert bool(told) == stopped
    streamed += fed(to, [receipt(finish="cancelled" if stopped else "length"), DONE])
    assert text_of(streamed) == text
    assert to.completion()["choices"][0]["message"]["content"] == text
    assert to.completion()["choices"][0]["finish_reason"] == ("stop" if stopped else "length")


def test_lets_a_run_end_only_once_every_arm_has_stopped() -> None:
    told: list[int] = []
    to = answer(lambda: told.append(1), stop=["."])
    fed(to, [meta("steered", "baseline"), token(" a.")])
    assert not told
    fed(to, [token(" b", "baseline"), receipt("baseline")])
    assert told
    fed(to, [receipt(finish="cancelled"), DONE])
    assert to.completion()["facet"]["controls"][0]["text"] == " b"


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ([], "engine_failed"),
        ([receipt("baseline")], "engine_failed"),
        ([receipt(finish="cancelled")], "cancelled"),
        ([receipt(planned=0)], "clamp_nowhere"),
        ([{"type": "error", "error": {"code": "engine_busy", "message": "Busy.", "fix": "Wait.", "retry": True}}], "engine_busy"),
    ],
)
def test_vouches_for_no_text_without_a_receipt_of_clamps_that_met_something(last: list[Event], code: str) -> None:
    to = answer()
    with pytest.raises(FacetError) as caught:
        fed(to, [meta("steered", "baseline"), token(" a"), *last, DONE])
    assert caught.value.code == code


def test_says_when_nothing_was_changed() -> None:
    to = answer()
    fed(to, [meta(), token(" a"), receipt(outcome="unchanged", reason="feature 3 is inactive"), DONE])
    assert to.completion()["facet"]["outcome"] == "unchanged"
    assert to.completion()["facet"]["reason"] == "feature 3 is inactive"


@pytest.mark.parametrize(
    ("error", "kind", "param"),
    [
        (ChatFieldError("stop", "No.", "Do."), "invalid_request_error", "stop"),
        (FacetError("No.", "clamp_nowhere"), "invalid_request_error", None),
        (FacetError("No.", "engine_busy"), "server_error", None),
        (FacetError("No.", "unauthorized"), "authentication_error", None),
    ],
)
def test_says_errors_as_openai_does_with_our_code(error: FacetError, kind: str, param: str | None) -> None:
    said = openai_error(error)["error"]
    assert (said["type"], said["param"], said["code"]) == (kind, param, error.code)
    assert said["message"] == f"No. {error.fix}"
