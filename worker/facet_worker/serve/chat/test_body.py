from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from facet_worker.errors import FacetError
from facet_worker.serve.chat.body import read_chat
from facet_worker.serve.schemas import BodySchema

PIXEL = b"\x89PNG not really"
URL = "data:image/png;base64," + base64.b64encode(PIXEL).decode()


def body(**more: Any) -> dict[str, Any]:
    return {"model": "facet-emoji/model.layers.1", "messages": [{"role": "user", "content": "what do you see ?"}], **more}


def shown(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def image(url: str = URL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def test_says_what_the_wire_contract_asks_for() -> None:
    sha256 = hashlib.sha256(PIXEL).hexdigest()
    chat = read_chat(
        body(
            messages=[
                {"role": "developer", "content": "be short"},
                *shown(image(), text("what is it ?")),
                {"role": "assistant", "content": "a cat", "refusal": None, "tool_calls": None, "facet": {"outcome": "steered"}},
                *shown(text("where ?")),
            ],
            temperature=0.5,
            top_p=0.9,
            seed=7,
            max_completion_tokens=12,
            stop="\n",
            stream=True,
            stream_options={"include_usage": True},
            logprobs=True,
            top_logprobs=2,
            interventions=[{"feature": 3, "value": 2}],
            mode="reconstruct",
            controls=["baseline"],
            user="somebody",
            n=1,
            tools=[],
            frequency_penalty=0,
            response_format={"type": "text"},
        )
    )
    valid = BodySchema("generate-request").parse(chat.request)
    asked = chat.for_engine(valid)
    assert asked["messages"] == [
        {"role": "system", "content": [text("be short")]},
        {"role": "user", "content": [{"type": "image", "image": {"sha256": sha256}}, text("what is it ?")]},
        {"role": "assistant", "content": [text("a cat")]},
        {"role": "user", "content": [text("where ?")]},
    ]
    assert valid["messages"][0]["role"] == "user"
    assert asked["sampling"] == {"maxTokens": 12, "temperature": 0.5, "topP": 0.9, "seed": 7}
    assert asked["interventions"] == [{"feature": 3, "value": 2, "unit": "raw", "op": "set", "scope": {"type": "image"}}]
    assert (asked["mode"], asked["controls"], asked["alternatives"]) == ("reconstruct", ["baseline"], 2)
    assert chat.images == ({"sha256": sha256, "data": URL.partition(",")[2]},)
    assert (chat.stop, chat.stream, chat.include_usage, chat.logprobs) == (("\n",), True, True, True)


def test_is_greedy_and_without_controls_unless_asked() -> None:
    asked = BodySchema("generate-request").parse(read_chat(body()).request)
    assert asked["sampling"] == {"maxTokens": 256, "temperature": 0, "topP": 1, "seed": 0}
    assert (asked["interventions"], asked["controls"], asked["mode"], asked["alternatives"]) == ([], [], "delta", 0)


def test_draws_a_seed_only_where_tokens_are_sampled() -> None:
    assert read_chat(body(), lambda: 99).request["sampling"]["seed"] == 0
    assert read_chat(body(temperature=1.0), lambda: 99).request["sampling"]["seed"] == 99
    assert read_chat(body(temperature=1.0, seed=0), lambda: 99).request["sampling"]["seed"] == 0


def test_counts_strengths_in_maxima_only_where_they_are_given() -> None:
    clamps = [{"feature": 3}, {"feature": 4}, {"feature": 3, "unit": "raw"}, {"feature": 9, "unit": "max", "op": "ablate"}]
    chat = read_chat(body(interventions=clamps, units={"3": 2.5}))
    assert [clamp["unit"] for clamp in chat.request["interventions"]] == ["max", "raw", "raw", "max"]
    assert chat.units == {"3": 2.5}
    with pytest.raises(FacetError, match="knows no catalogue") as caught:
        read_chat(body(interventions=[{"feature": 3}, {"feature": 4, "unit": "max"}], units={"3": 2.5}))
    assert (caught.value.code, getattr(caught.value, "param", "")) == ("invalid_request", "interventions[1].unit")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": shown(image("https://example.org/cat.png"))}, "messages[0].content[0].image_url", "fetches nothing"),
    ({"messages": shown(image("file:///etc/passwd"))}, "messages[0].content[0].image_url", "fetches nothing"),
    ({"messages": shown(text("a"), image("cat.png"))}, "messages[0].content[1].image_url", "no data URL"),
    ({"messages": shown(image("data:text/plain;base64,YQ=="))}, "messages[0].content[0].image_url", "no picture"),
    ({"messages": shown(image("data:image/png,abc"))}, "messages[0].content[0].image_url", "no picture in base64"),
    ({"messages": shown(image("data:image/png;base64,a*b"))}, "messages[0].content[0].image_url", "broken"),
    ({"messages": shown({"type": "input_audio"})}, "messages[0].content[0]", "input_audio"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role", "'system', 'developer'"),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}, "messages[1].role", "come first, once"),
    ({"messages": [{"role": "assistant", "content": "a", "tool_calls": [{}]}]}, "messages[0].tool_calls", "no tools"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "not right"),
    ({"messages": []}, "messages", "at least 1"),
    ({"model": "facet-emoji"}, "model", "not right"),
    ({"n": 2}, "n", "equal to 1"),
    ({"max_tokens": 257}, "max_tokens", "equal to 256"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens", "two lengths"),
    ({"temperature": True}, "temperature", "valid number"),
    ({"temperature": "0"}, "temperature", "valid number"),
    ({"seed": 2**32}, "seed", "4294967295"),
    ({"stop": ["a"] * 5}, "stop", "at most 4"),
    ({"stop": [""]}, "stop[0]", "at least 1 character"),
    ({"top_logprobs": 3}, "top_logprobs", "logprobs is not true"),
    ({"tools": [{"type": "function"}]}, "tools", "not served"),
    ({"frequency_penalty": 0.5}, "frequency_penalty", "not served"),
    ({"response_format": {"type": "json_object"}}, "response_format", "not served"),
    ({"top_k": 5}, "top_k", "not served"),
    ({"units": {"x": 1.0}}, "units.x", "pattern"),
    ({"units": {"3": -1.0}}, "units.3", "equal to 0"),
    ({"units": {"3": float("inf")}}, "units.3", "finite"),
    ({"interventions": [3]}, "interventions[0]", "not right"),
]


@pytest.mark.parametrize(("change", "param", "says"), REFUSED, ids=[f"{param}: {says}" for _, param, says in REFUSED])
def test_refuses_what_it_cannot_serve_by_the_fields_name(change: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(FacetError) as caught:
        read_chat(body(**change))
    assert caught.value.code == "invalid_request"
    assert says in str(caught.value)
    assert getattr(caught.value, "param", None) == param


def test_leaves_the_insides_of_a_clamp_to_the_wire_contract() -> None:
    for wrong in ({"feature": -1}, {"feature": 1, "op": "boost"}, {"feature": 1, "strength": 2}, {"feature": 1, "scope": {"type": "left"}}):
        with pytest.raises(FacetError, match=r"^interventions\[0\]"):
            BodySchema("generate-request").parse(read_chat(body(interventions=[wrong])).request)


@pytest.mark.parametrize("value", [None, [], "hello", 3])
def test_refuses_a_body_that_is_no_object(value: Any) -> None:
    with pytest.raises(FacetError, match="no JSON object"):
        read_chat(value)
