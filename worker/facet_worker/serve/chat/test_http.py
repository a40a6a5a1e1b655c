"""With OpenAI's own client, over a socket, on the demo's real model."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pyarrow.parquet as pq
import pytest
import torch
import uvicorn

from facet_worker.hooked_model import HookedModel
from facet_worker.serve.app import create_app
from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import Settings
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[4]
HOOK = "model.layers.1"
REF = f"facet-emoji/{HOOK}"
TOKEN = "a secret"


class _Server(uvicorn.Server):
    def __init__(self, host: EngineHost) -> None:
        super().__init__(uvicorn.Config(create_app(host), port=0, log_level="warning", lifespan="off"))
        self.host = host

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    torch.set_num_threads(1)
    engine = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")
    running = _Server(EngineHost(engine, Settings(token=TOKEN, queue=1)))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield running
    running.should_exit = True
    thread.join()


@pytest.fixture
def client(server: _Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def fire() -> tuple[int, float]:
    """The feature for "fire", and its maximum."""
    folder = ROOT / "demo/bundle" / HOOK
    labels = pq.read_table(folder / "explanations.parquet", columns=["index", "label"]).to_pylist()
    index = next(row["index"] for row in labels if row["label"] == "fire")
    table = pq.read_table(folder / "features.parquet", columns=["index", "max_activation"], filters=[("index", "=", index)])
    return index, table.to_pylist()[0]["max_activation"]


@pytest.fixture(scope="module")
def picture() -> str:
    """Data URL of one without fire."""
    rows = pq.read_table(ROOT / "demo/bundle/images.parquet", columns=["bytes", "caption", "mime"]).slice(0, 50).to_pylist()
    row = next(row for row in rows if "fire" not in row["caption"])
    return f"data:{row['mime']};base64,{base64.b64encode(row['bytes']).decode()}"


def asked(picture: str, **more: Any) -> Any:
    parts = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "what do you see ?"}]
    return {"model": REF, "messages": [{"role": "user", "content": parts}], "max_tokens": 40, **more}


def test_steers_and_says_what_was_done(client: openai.OpenAI, picture: str, fire: tuple[int, float]) -> None:
    index, most = fire
    plain = client.chat.completions.create(**asked(picture))
    clamp = {"feature": index, "value": 4 * most}
    steered = client.chat.completions.create(**asked(picture), extra_body={"interventions": [clamp], "controls": ["baseline"]})
    assert "fire" not in (plain.choices[0].message.content or "")
    assert "fire" in (steered.choices[0].message.content or "").split()
    told: Any = steered.model_extra
    receipt = told["facet"]["receipt"]
    assert told["facet"]["outcome"] == "steered"
    assert receipt["clamps"][0]["image"] == {"planned": 144, "changed": 144}
    assert receipt["clamps"][0]["meanAfter"] == pytest.approx(4 * most)
    assert told["facet"]["controls"][0]["text"] == plain.choices[0].message.content
    assert (plain.model_extra or {})["facet"]["outcome"] == "unchanged"
    assert steered.usage
    assert steered.usage.prompt_tokens == 144 + 8
    # The same in units of its maximum, which the request then gives.
    again = client.chat.completions.create(
        **asked(picture), extra_body={"interventions": [{"feature": index, "value": 4}], "units": {str(index): most}}
    )
    assert again.choices[0].message.content == steered.choices[0].message.content


def test_streams_the_same_as_it_gives_at_once(client: openai.OpenAI, picture: str, fire: tuple[int, float]) -> None:
    more: Any = {"extra_body": {"interventions": [{"feature": fire[0], "value": 4 * fire[1]}]}}
    whole = client.chat.completions.create(**asked(picture, **more))
    chunks = list(client.chat.completions.create(**asked(picture, stream=True, stream_options={"include_usage": True}, **more)))
    assert len(chunks) > 10
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, whole.choices[0].finish_reason]
    told: Any = chunks[-2].model_extra
    told["facet"]["receipt"].pop("timingsMs")
    expected: Any = whole.model_extra
    expected["facet"]["receipt"].pop("timingsMs")
    assert told["facet"] == expected["facet"]
    assert chunks[-1].usage == whole.usage


def test_ends_at_a_stop_text_without_writing_on(client: openai.OpenAI, picture: str) -> None:
    plain = client.chat.completions.create(**asked(picture)).choices[0]
    words = (plain.message.content or "").split(" ")
    stopped = client.chat.completions.create(**asked(picture, stop=[f" {words[4]}"]))
    assert stopped.choices[0].message.content == " ".join(words[:4])
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.usage
    assert 5 <= stopped.usage.completion_tokens < len(words)
    assert (stopped.model_extra or {})["facet"]["receipt"]["finish"] == "cancelled"


def test_samples_by_the_seed(client: openai.OpenAI, picture: str) -> None:
    def said(**more: Any) -> tuple[str, int]:
        out = client.chat.completions.create(**asked(picture, temperature=3.0, **more))
        return out.choices[0].message.content or "", (out.model_extra or {})["facet"]["receipt"]["sampling"]["seed"]

    assert said(seed=4) == said(seed=4)
    assert said(seed=4)[0] != said(seed=5)[0]
    text, drawn = said()
    assert said(seed=drawn) == (text, drawn)


def test_gives_log_probabilities(client: openai.OpenAI, picture: str) -> None:
    out = client.chat.completions.create(**asked(picture, logprobs=True, top_logprobs=3, max_tokens=4)).choices[0]
    assert out.logprobs
    assert out.logprobs.content
    assert "".join(entry.token for entry in out.logprobs.content) == out.message.content
    for entry in out.logprobs.content:
        assert entry.logprob == max(other.logprob for other in entry.top_logprobs)
        assert len(entry.top_logprobs) == 3


def test_refuses_in_the_clients_own_errors(client: openai.OpenAI, server: _Server, picture: str) -> None:
    def refusal(kind: type[openai.APIStatusError], **more: Any) -> Any:
        with pytest.raises(kind) as caught:
            client.chat.completions.create(**asked(picture, **more))
        assert caught.value.response.headers["x-should-retry"] == "false"
        return caught.value.body

    clamps: Any = {"interventions": [{"feature": 10**6}]}
    assert refusal(openai.UnprocessableEntityError, extra_body=clamps)["code"] == "clamp_nowhere"
    assert refusal(openai.UnprocessableEntityError, extra_body=clamps, stream=True)["code"] == "clamp_nowhere"
    generated: Any = {"interventions": [{"feature": 3, "scope": {"type": "generated"}}]}
    assert refusal(openai.UnprocessableEntityError, extra_body=generated, max_tokens=1)["code"] == "clamp_nowhere"
    assert refusal(openai.NotFoundError, model="facet-emoji/other")["code"] == "dictionary_not_found"
    wrong: Any = {"interventions": [{"feature": 3, "op": "boost"}]}
    body = refusal(openai.BadRequestError, extra_body=wrong)
    assert (body["param"], body["type"]) == ("interventions[0].op", "invalid_request_error")
    body = refusal(
        openai.BadRequestError, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/"}}]}]
    )
    assert (body["param"], "fetches nothing" in body["message"]) == ("messages[0].content[0].image_url", True)
    system = refusal(openai.BadRequestError, messages=[{"role": "system", "content": "a"}, {"role": "user", "content": "a"}])
    assert "no place for a system message" in system["message"]
    with pytest.raises(openai.AuthenticationError), openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0) as stranger:
        stranger.chat.completions.create(**asked(picture))


def test_lists_dictionaries_as_models(client: openai.OpenAI) -> None:
    listed = list(client.models.list())
    assert [model.id for model in listed] == [REF]
    assert (listed[0].model_extra or {})["facet"]["dictionary"]["numLatents"] == 2048
    assert client.models.retrieve(REF).id == REF
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("facet-emoji/other")


def test_is_busy_when_the_line_is_full_and_free_when_a_client_leaves(
    client: openai.OpenAI, server: _Server, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, go_on = server.host.engine.generate, threading.Event()

    def held(*arguments: Any) -> Iterator[Any]:
        for event in usual(*arguments):
            yield event
            if event["type"] == "token":
                go_on.wait(20)

    monkeypatch.setattr(server.host.engine, "generate", held)
    body = asked(picture, stream=True)
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {TOKEN}"}) as plain:
        with plain.stream("POST", "/v1/chat/completions", json=body) as first:
            running = first.iter_lines()  # kept: a reader that is dropped closes the connection
            assert next(running).startswith("data: ")
            with plain.stream("POST", "/v1/chat/completions", json=body) as second:
                waiting = second.iter_lines()
                assert next(waiting) == ": 0 ahead in the line"
                with pytest.raises(openai.InternalServerError) as caught:
                    client.chat.completions.create(**body)
                assert caught.value.code == "engine_busy"
                assert int(caught.value.response.headers["retry-after"]) >= 1
                assert caught.value.response.headers["x-should-retry"] == "true"
        go_on.set()
        left = time.monotonic()
        # Its answer would have gone on for tens of tokens.
        while server.host.line.running > 0:
            assert time.monotonic() - left < 5.0
            time.sleep(0.01)
    assert server.host.metrics.registry.get_sample_value("facet_requests_total", {"endpoint": "chat", "outcome": "cancelled"}) == 2


def test_ends_a_broken_stream_with_an_error(client: openai.OpenAI, server: _Server, picture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = server.host.engine.generate

    def failing(*arguments: Any) -> Iterator[Any]:
        for number, event in enumerate(usual(*arguments)):
            if number == 3:
                raise RuntimeError("a kernel failed")
            yield event

    monkeypatch.setattr(server.host.engine, "generate", failing)
    stream = iter(client.chat.completions.create(**asked(picture, stream=True)))
    assert len([next(stream) for _ in range(3)]) == 3
    with pytest.raises(openai.APIError) as caught:
        next(stream)
    assert caught.value.code == "engine_failed"
    assert "a kernel" not in json.dumps(caught.value.body)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**asked(picture))


def test_answers_503_where_memory_runs_out_on_the_way_and_goes_on(
    client: openai.OpenAI, server: _Server, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    for part in ("prefill", "token"):
        with monkeypatch.context() as patch:
            patch.setattr(HookedModel, part, full)
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(**asked(picture))
        assert (caught.value.status_code, caught.value.code) == (503, "engine_out_of_memory")
        assert caught.value.response.headers["x-should-retry"] == "true"
    assert client.chat.completions.create(**asked(picture)).choices[0].message.content


def test_answers_several_clients_in_turn(server: _Server, picture: str) -> None:
    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as many:
            answers = await asyncio.gather(*(many.chat.completions.create(**asked(picture)) for _ in range(2)))
        return [answer.choices[0].message.content or "" for answer in answers]

    first, second = asyncio.run(both())
    assert first == second != ""
