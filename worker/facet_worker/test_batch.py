"""Mixed requests as one padded batch write what each writes alone, and arms that share a prompt's way up to the hook are as exact as apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from facet_worker.checkpoint import Checkpoint
from facet_worker.dictionaries import Dictionary
from facet_worker.engine import HookEvent, Tap
from facet_worker.engine_checks import Outcome, ask, inputs_of_next_block, own_outputs, run
from facet_worker.errors import FacetError
from facet_worker.families.tiny_models import FAMILIES
from facet_worker.hooked_model import Abilities
from facet_worker.jobs import Asked, Together
from facet_worker.sae import TopKSae
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
LAYER = 1
PICTURES = [np.random.default_rng(i).integers(0, 256, (40, 40 + 10 * i, 3), dtype=np.uint8) for i in range(3)]
Request = tuple[dict[str, Any], list[Any]]


def together(engine: TorchEngine, requests: list[Request], **more: Any) -> list[Outcome]:
    """All of them as one batch, each with everything that passed."""
    outcomes = [Outcome() for _ in requests]
    states: list[dict[str, list[Any]]] = [{} for _ in requests]
    given: list[dict[str, list[Any]]] = [{} for _ in requests]

    def tap(i: int) -> Tap:
        def on_hidden(event: HookEvent) -> None:
            states[i].setdefault(event.arm, []).append(event.hidden.double().numpy())
            given[i].setdefault(event.arm, []).append(event.output.double().numpy())

        return Tap(on_hidden, lambda arm, _, logits: outcomes[i].logits.setdefault(arm, []).append(logits.numpy()))

    asked = [Asked(request, pictures, tap=tap(i), **more) for i, (request, pictures) in enumerate(requests)]
    for i, event in engine.generate_together(asked):
        assert not isinstance(event, FacetError)
        outcomes[i].events.append(event)
        if event["type"] == "token":
            outcomes[i].ids.setdefault(event["arm"], []).append(event["id"])
        if event["type"] == "receipt":
            outcomes[i].receipts[event["receipt"]["arm"]] = event["receipt"]
    for outcome, hidden, output in zip(outcomes, states, given, strict=True):
        outcome.hidden = {arm: np.concatenate(parts) for arm, parts in hidden.items()}
        outcome.given = {arm: np.concatenate(parts) for arm, parts in output.items()}
    return outcomes


def assert_close(one: Any, other: Any, path: str = "") -> None:
    """Equal texts and counts, numbers to 1e-3 of each other; how long things took apart."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one.keys() - {"timingsMs"}:
            assert_close(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_close(a, b, f"{path}[{i}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3), path
    else:
        assert one == other, path


def hold(engine: TorchEngine, requests: list[Request]) -> None:
    rows: list[int] = []
    usual = engine.hooked.token

    def counted(ids: Any, *rest: Any) -> Any:
        rows.append(len(ids))
        return usual(ids, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.hooked, "token", counted)
        mixed = together(engine, requests)
    alone = [run(engine, request, pictures) for request, pictures in requests]
    # They did go side by side.
    assert max(rows) > max(len(one.receipts) for one in alone)
    for both, one in zip(mixed, alone, strict=True):
        assert both.ids == one.ids
        assert_close(both.receipts, one.receipts)
        key: Callable[[dict[str, Any]], Any] = lambda event: (event.get("arm", ""), event.get("i", -1))  # noqa: E731
        tokens = [[event for event in each.events if event["type"] == "token"] for each in (both, one)]
        assert_close(sorted(tokens[0], key=key), sorted(tokens[1], key=key))
        assert both.events[0] == one.events[0]
        assert both.events[-1] == {"type": "done"}
        for arm, states in one.hidden.items():
            size = np.abs(states).max()
            np.testing.assert_allclose(both.hidden[arm], states, atol=1e-4 * size)
            np.testing.assert_allclose(both.given[arm], one.given[arm], atol=1e-4 * np.abs(one.given[arm]).max())
            np.testing.assert_allclose(both.logits[arm], one.logits[arm], atol=1e-3 * np.abs(one.logits[arm][0]).max())


def requests_of(engine: TorchEngine, words: str, pictures: list[Any]) -> list[Request]:
    """None, one and several clamps of every kind, one or two images, prompts and answers of several lengths, both modes, arms, sampling."""
    every = {"scope": {"type": "all"}}
    return [
        (ask(engine, text=words, sampling={"maxTokens": 9}), pictures[:1]),
        (ask(engine, [{"feature": 3, "op": "set", "value": 6.0, **every}], text=f"{words} {words}", controls=["negated"]), pictures[1:2]),
        (
            ask(
                engine,
                [{"feature": 5, "op": "add", "value": 4.0, "scope": {"type": "generated"}}, {"feature": 7, "op": "ablate", **every}],
                text=" ".join([words] * 3),
                images=2,
                controls=["baseline", "random"],
                sweep={"clamp": 0, "values": [-2.0, 8.0]},
                sampling={"maxTokens": 7},
                activeFeatures=3,
            ),
            pictures[:2],
        ),
        (ask(engine, [{"feature": 2, "value": 9.0}], text=words, mode="reconstruct", controls=["reconstruction"]), pictures[2:3]),
        (ask(engine, text=words, controls=[], sampling={"maxTokens": 6, "temperature": 1.5, "topP": 0.9, "seed": 4}), pictures[1:2]),
    ]


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tiny: Checkpoint, tiny_sae: TopKSae) -> tuple[str, TorchEngine]:
    model, processor = FAMILIES[request.param](tiny)
    sae = Dictionary(tiny_sae.w_enc, tiny_sae.b_enc, tiny_sae.w_dec, tiny_sae.b_dec, "topk", tiny_sae.k)
    other = replace(sae, w_dec=sae.w_dec.roll(1, 0))
    return request.param, TorchEngine(model, processor, {f"model.layers.{LAYER}": sae, "model.layers.2": other}, request.param, "0" * 64)


@pytest.fixture(scope="module")
def demo() -> tuple[TorchEngine, list[Any]]:
    torch.set_num_threads(1)
    folder = ROOT / "demo/dictionaries"
    engine = TorchEngine.load(ROOT / "demo/model", [folder / "model.layers.1", folder / "model.layers.0"], model_id="facet-emoji")
    rows = pq.read_table(ROOT / "demo/bundle/images.parquet", columns=["bytes"]).slice(0, 3).to_pylist()
    return engine, [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB").resize((96, 96))) for row in rows]


def test_every_family_takes_mixed_requests(family: tuple[str, TorchEngine]) -> None:
    name, engine = family
    assert engine.info()["batching"] == "mixed"
    requests = requests_of(engine, "what is it ?", PICTURES)
    if name == "paligemma":
        # One image a prompt, and its processor knows of no second.
        requests = [(request, pictures) for request, pictures in requests if len(pictures) == 1]
    # A second dictionary, at another hook of the same pass.
    there = ask(
        engine, [{"feature": 4, "value": 5.0, "scope": {"type": "all"}}], text="where is it there ?", dictionary=engine.dictionaries()[1]
    )
    hold(engine, [*requests, (there, PICTURES[:1])])


def test_the_embedded_model_takes_mixed_requests(demo: tuple[TorchEngine, list[Any]]) -> None:
    engine, pictures = demo
    words = "what do you see ?"
    there = ask(engine, [{"feature": 40, "value": 5.0, "scope": {"type": "all"}}], text=words, dictionary=engine.dictionaries()[1])
    hold(engine, [*requests_of(engine, words, pictures), (there, pictures[:1])])


def test_a_batch_without_its_mask_or_positions_is_caught(demo: tuple[TorchEngine, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    engine, pictures = demo
    requests = requests_of(engine, "what do you see ?", pictures)[:3]
    from facet_worker import batch
    from facet_worker.hooked_model import Place

    for wrong in (lambda at, padding: Place(at, 0), lambda at, padding: Place(at + padding, padding)):
        with monkeypatch.context() as patch:
            patch.setattr(batch, "Place", wrong)
            with pytest.raises(AssertionError):
                hold(engine, requests)


def test_what_fails_or_leaves_takes_no_other_along(demo: tuple[TorchEngine, list[Any]]) -> None:
    engine, pictures = demo
    words = "what do you see ?"
    fine = ask(engine, text=words, controls=[])
    seen: dict[int, list[Any]] = {i: [] for i in range(5)}
    huge = ask(engine, [{"feature": i, "value": 3e38, "scope": {"type": "all"}} for i in range(40)], text=words, controls=[])
    asked = [
        Asked(fine, pictures[:1]),
        Asked(ask(engine, [{"feature": 99_999}]), pictures[:1]),
        Asked(huge, pictures[:1]),
        Asked(fine, pictures[1:2], cancelled=lambda: len(seen[3]) > 2),
        Asked(fine, pictures[1:2], cancelled=lambda: True),
    ]
    for i, event in engine.generate_together(asked):
        seen[i].append(event)
    assert_close(run(engine, fine, pictures[:1]).events, seen[0])
    assert seen[0][-1] == {"type": "done"}
    codes = [events[-1].code if isinstance(events[-1], FacetError) else None for events in seen.values()]
    assert codes == [None, "clamp_nowhere", "engine_failed", None, "cancelled"]
    assert [event["type"] for event in seen[3]] == ["meta", "token", "token", "receipt", "done"]
    assert seen[3][3]["receipt"]["finish"] == "cancelled"


def test_a_request_joins_others_under_way(demo: tuple[TorchEngine, list[Any]]) -> None:
    engine, pictures = demo
    long = ask(engine, text="what do you see ? what do you see ?", controls=[], sampling={"maxTokens": 12})
    late = ask(engine, [{"feature": 3, "op": "add", "value": 4.0, "scope": {"type": "all"}}], text="what is it ?", controls=[])
    for first, second in ((long, late), (late, long)):
        under_way = Together(engine.hooked)
        ids: dict[int, list[int]] = {0: [], 1: []}
        under_way.add(0, engine.job(Asked(first, pictures[:1])))
        steps = 0
        while under_way.jobs:
            if steps == 2:
                under_way.add(1, engine.job(Asked(second, pictures[1:2])))
            for i, event in under_way.step():
                if not isinstance(event, FacetError) and event["type"] == "token":
                    ids[i].append(event["id"])
            steps += 1
        assert ids[0] == run(engine, first, pictures[:1]).ids["steered"]
        assert ids[1] == run(engine, second, pictures[1:2]).ids["steered"]


def test_runs_one_after_another_where_the_model_takes_no_mixed_rows(demo: tuple[TorchEngine, list[Any]]) -> None:
    engine, pictures = demo
    requests = requests_of(engine, "what do you see ?", pictures)[:3]
    usual = {ref: served.abilities for ref, served in engine.served.items()}
    try:
        for served in engine.served.values():
            served.abilities = Abilities(shared=True, padded=False)
        assert engine.info()["batching"] == "one by one"
        owners = [i for i, _ in engine.generate_together([Asked(request, images) for request, images in requests])]
    finally:
        for ref, abilities in usual.items():
            engine.served[ref].abilities = abilities
    assert owners == sorted(owners)
    assert set(owners) == {0, 1, 2}


def test_arms_share_the_blocks_below_the_hook(family: tuple[str, TorchEngine]) -> None:
    """What they share is passed once; apart, every arm gives the same."""
    name, engine = family
    served = engine.served[engine.dictionaries()[0]]
    deep = name == "qwen3_vl"
    assert served.abilities == Abilities(shared=not deep, padded=True)
    clamp = {"feature": 3, "op": "add", "value": 6.0, "scope": {"type": "all"}}
    asked = ask(engine, [clamp], controls=["baseline", "negated"], sweep={"clamp": 0, "values": [1.0, -4.0]})
    with own_outputs(engine, LAYER) as own, inputs_of_next_block(engine, LAYER) as above:
        shared = run(engine, asked, PICTURES[:1])
    prompts = [each.shape[0] for each in own if each.shape[1] > 1]
    assert prompts == ([1] * 5 if deep else [1])
    assert [each.shape[0] for each in above if each.shape[1] > 1] == ([1] * 5 if deep else [5])
    usual, served.abilities = served.abilities, Abilities(shared=False, padded=True)
    try:
        apart = run(engine, asked, PICTURES[:1])
    finally:
        served.abilities = usual
    assert shared.ids == apart.ids
    assert_close(shared.receipts, apart.receipts)
    for arm, logits in apart.logits.items():
        np.testing.assert_allclose(shared.logits[arm], logits, atol=1e-4 * np.abs(logits[0]).max())
