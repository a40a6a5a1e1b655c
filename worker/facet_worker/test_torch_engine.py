from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from facet_worker.arms import ArmRun
from facet_worker.engine import Tap
from facet_worker.engine_checks import ask, by_arm, check_requested_change, inputs_of_next_block, latents, run
from facet_worker.errors import FacetError
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
LAYER = 1
HOOK = f"model.layers.{LAYER}"


@pytest.fixture(scope="module")
def demo() -> TorchEngine:
    torch.set_num_threads(1)
    return TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")


@pytest.fixture(scope="module")
def fixture() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "lib/engine/onnx/fixtures/plain-generation.json").read_text())
    return found


@pytest.fixture(scope="module")
def pictures(fixture: dict[str, Any]) -> dict[str, Any]:
    wanted = {sha for case in fixture["cases"] for turn in case["turns"] for sha in turn["images"]}
    table = pq.read_table(ROOT / "demo/bundle/images.parquet", columns=["sha256", "bytes"], filters=[("sha256", "in", sorted(wanted))])
    return {
        row["sha256"]: np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR))
        for row in table.to_pylist()
    }


@pytest.fixture(scope="module")
def shown(pictures: dict[str, Any]) -> list[Any]:
    return list(pictures.values())


@pytest.fixture(scope="module")
def plain(demo: TorchEngine, shown: list[Any]) -> Any:
    return run(demo, ask(demo, text="what do you see ?"), shown[:1])


def covers_all(clamp: Any, _: int) -> bool:
    return bool(clamp["scope"]["type"] == "all")


def strongest(demo: TorchEngine, plain: Any) -> int:
    sae = demo.served[demo.dictionaries()[0]].sae
    active = latents(sae, plain.hidden["steered"][5])
    return max(active, key=lambda f: active[f])


def test_writes_what_stock_generate_writes(demo: TorchEngine, fixture: dict[str, Any], pictures: dict[str, Any]) -> None:
    assert demo.sha256 == fixture["model"]
    for case in fixture["cases"]:
        messages = [
            {
                "role": turn["role"],
                "content": [
                    *({"type": "image", "image": {"sha256": sha}} for sha in turn["images"]),
                    {"type": "text", "text": turn["text"]},
                ],
            }
            for turn in case["turns"]
        ]
        shown = [pictures[sha] for turn in case["turns"] for sha in turn["images"]]
        asked = ask(demo, messages=messages, controls=[], sampling={"maxTokens": fixture["maxTokens"]})
        out = run(demo, asked, shown)
        assert out.ids.get("steered", []) == case["tokens"]
        assert out.receipts["steered"]["text"] == case["text"]
        assert out.events[0]["prompt"]["text"] == case["prompt"]
        first = torch.log_softmax(torch.from_numpy(out.logits["steered"][0]).double(), -1).numpy()
        np.testing.assert_allclose(first, case["first"], atol=2e-4)
        assert out.receipts["steered"]["outcome"] == "unchanged"


def test_changes_states_by_what_was_asked_in_the_prompt_and_in_every_token(demo: TorchEngine, plain: Any, shown: list[Any]) -> None:
    sae = demo.served[demo.dictionaries()[0]].sae
    feature = strongest(demo, plain)
    inactive = next(f for f in range(sae.num_latents) if all(f not in latents(sae, h) for h in plain.hidden["steered"][::20]))
    clamps = [
        {"feature": inactive, "op": "set", "value": 3.0, "unit": "raw", "scope": {"type": "all"}},
        {"feature": feature, "op": "ablate", "value": 1.0, "unit": "raw", "scope": {"type": "all"}},
    ]
    words = {"steered": [10, 11, 12, 13], "baseline": [10, 11, 12, 13]}
    with inputs_of_next_block(demo, LAYER) as seen:
        out = run(demo, ask(demo, clamps, text="what do you see ?"), shown[:1], force=words)
    assert len(seen) == 1 + 4
    steered_states, base_states = by_arm(seen, 2)
    # The tokens' own states differ by what the changed prompt did to them only above the hook, so below it they are equal.
    changed = check_requested_change(sae, clamps, covers_all, steered_states, base_states)
    receipt = out.receipts["steered"]
    counts = [receipt["prefill"]["image"], receipt["prefill"]["text"], receipt["decode"]]
    assert changed == len(steered_states) == sum(count["changed"] for count in counts)
    assert receipt["decode"] == {"planned": 4, "changed": 4}
    assert receipt["clamps"][0]["meanAfter"] == pytest.approx(3.0)
    np.testing.assert_array_equal(steered_states.astype(np.float32), out.given["steered"].astype(np.float32))


def test_catches_a_hook_at_another_block_and_a_clamp_that_is_lost_after_the_prompt(
    demo: TorchEngine, plain: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = demo.dictionaries()[0]
    served = demo.served[ref]
    clamps = [{"feature": strongest(demo, plain), "op": "add", "value": 4.0, "unit": "raw", "scope": {"type": "all"}}]
    words = {"steered": [10, 11, 12], "baseline": [10, 11, 12]}

    def check() -> None:
        with inputs_of_next_block(demo, LAYER) as seen:
            run(demo, ask(demo, clamps, text="what do you see ?"), shown[:1], force=words)
        check_requested_change(served.sae, clamps, covers_all, *by_arm(seen, 2))

    check()
    from facet_worker.decoder import decoder_blocks

    with monkeypatch.context() as patch:
        patch.setattr(served, "block", decoder_blocks(demo.hooked.model)[1][LAYER + 1])
        with pytest.raises(AssertionError, match="At position 0 "):
            check()
    from facet_worker.arms import ArmRun

    usual = ArmRun.at_hook
    with monkeypatch.context() as patch:
        patch.setattr(ArmRun, "at_hook", lambda self, hidden, prefill, encode: usual(self, hidden, prefill, encode) if prefill else hidden)
        with pytest.raises(AssertionError, match=f"At position {plain.events[0]['prompt']['imageTokens'] + 9} |At position 15"):
            check()


def test_does_nothing_at_all_where_the_activation_is_already_there(demo: TorchEngine, plain: Any, shown: list[Any]) -> None:
    feature = strongest(demo, plain)
    clamp = {"feature": feature, "op": "scale", "value": 1.0, "scope": {"type": "all"}}
    out = run(demo, ask(demo, [clamp], text="what do you see ?"), shown[:1])
    np.testing.assert_array_equal(out.given["steered"], out.hidden["steered"])
    np.testing.assert_array_equal(out.logits["steered"], plain.logits["steered"])
    assert out.receipts["steered"]["outcome"] == "unchanged"
    assert "already has the requested activation" in out.receipts["steered"]["reason"]
    indices, values = demo.served[demo.dictionaries()[0]].sae.encode(torch.from_numpy(plain.hidden["steered"][5:6]).float())
    present = float(values[0][indices[0] == feature])
    cell = next(i for i, p in enumerate(range(2, 146)) if p == 5)
    same = {"feature": feature, "op": "set", "value": present, "scope": {"type": "region", "image": 0, "cells": [cell]}}
    again = run(demo, ask(demo, [same], text="what do you see ?"), shown[:1])
    assert again.receipts["steered"]["outcome"] == "unchanged"
    np.testing.assert_array_equal(again.logits["steered"], plain.logits["steered"])


def test_runs_arms_together_as_one_by_one(demo: TorchEngine, plain: Any, shown: list[Any]) -> None:
    feature = strongest(demo, plain)
    clamp = {"feature": feature, "op": "add", "value": 6.0, "unit": "raw", "scope": {"type": "all"}}
    mixed = ask(
        demo,
        [clamp],
        text="what do you see ?",
        controls=["baseline", "negated", "random", "reconstruction"],
        sweep={"clamp": 0, "values": [-3.0, 0.0, 9.0]},
    )
    out = run(demo, mixed, shown[:1])
    assert out.events[0]["arms"][:2] == ["steered", "baseline"]
    assert set(out.receipts) == {"steered", "baseline", "negated", "random", "reconstruction", "sweep:0", "sweep:1", "sweep:2"}
    for point, value in enumerate(mixed["sweep"]["values"]):
        alone = run(demo, ask(demo, [{**clamp, "value": value}], text="what do you see ?", controls=[]), shown[:1])
        arm = f"sweep:{point}"
        assert out.ids[arm] == alone.ids["steered"]
        np.testing.assert_allclose(out.logits[arm], alone.logits["steered"], atol=1e-4)
        for name in ("prefill", "decode", "text", "finish", "outcome"):
            assert out.receipts[arm][name] == alone.receipts["steered"][name]
    np.testing.assert_allclose(
        out.given["negated"][:100] - out.hidden["negated"][:100], out.hidden["steered"][:100] - out.given["steered"][:100], atol=1e-4
    )
    moved = [np.linalg.norm(out.given[arm][:100] - out.hidden[arm][:100], axis=1) for arm in ("steered", "random")]
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-4, atol=1e-4)


def test_refuses_what_would_act_nowhere_and_stops_when_told(demo: TorchEngine, shown: list[Any]) -> None:
    cases = [
        (ask(demo, [{"feature": 99_999}]), "clamp_nowhere"),
        (ask(demo, [{"feature": 1, "scope": {"type": "region", "image": 0, "cells": [144]}}]), "clamp_nowhere"),
        (ask(demo, [{"feature": 1}, {"feature": 1, "scope": {"type": "all"}}]), "clamp_overlap"),
        (ask(demo, [{"feature": 1, "unit": "max"}]), "invalid_request"),
        (ask(demo, text=" "), "prompt_empty"),
        (ask(demo, watch=["xylophone"]), "word_unknown"),
        (ask(demo, dictionary="facet-emoji/other"), "dictionary_not_found"),
        (ask(demo, version="0" * 12), "version_mismatch"),
    ]
    for request, code in cases:
        with pytest.raises(FacetError) as caught:
            demo.generate(request, shown[:1], {}, lambda: False)
        assert caught.value.code == code
    events: list[Any] = []
    asked = ask(demo, text="what do you see ?", controls=[])
    for event in demo.generate(asked, shown[:1], {}, lambda: any(event["type"] == "token" for event in events)):
        events.append(event)
    assert [event["type"] for event in events] == ["meta", "token", "receipt", "done"]
    assert events[2]["receipt"]["finish"] == "cancelled"


def test_tells_features_and_watched_words(demo: TorchEngine, plain: Any, shown: list[Any]) -> None:
    found = demo.features({"dictionary": demo.dictionaries()[0], "limit": 8}, shown[:1], lambda: False)
    assert (found["rows"], found["cols"], len(found["features"])) == (12, 12, 8)
    means = [feature["mean"] for feature in found["features"]]
    assert means == sorted(means, reverse=True)
    clamp = {"feature": strongest(demo, plain), "op": "add", "value": 200.0, "scope": {"type": "generated"}}
    out = run(demo, ask(demo, [clamp], text="what do you see ?", watch=["dog"], activeFeatures=4), shown[:1])
    token = next(event for event in out.events if event["type"] == "token" and event["arm"] == "steered")
    assert len(token["features"]) == 4
    assert any(f["index"] == clamp["feature"] and f["after"] > f["before"] for f in token["features"])
    assert len(token["watched"]) == len(out.events[0]["watch"]) == len(out.receipts["steered"]["watched"]) == 1
    assert demo.info()["model"]["grid"] == {"rows": 12, "cols": 12}


def _keeping(kept: list[Any]) -> Callable[[str, int, torch.Tensor], None]:
    return lambda _arm, _i, logits: kept.append(logits.numpy())


def test_writes_the_same_where_a_token_at_rest_takes_the_short_way(
    demo: TorchEngine, plain: Any, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks at the hook in the short way, so only logits and receipts tell; they are the usual way's to the last bit."""
    usual, short = ArmRun.rest, [0]

    def counted(arm: ArmRun, hidden: Any) -> Any:
        given = usual(arm, hidden)
        short[0] += given is not None
        return given

    monkeypatch.setattr(ArmRun, "rest", counted)
    seldom = [{"feature": f, "value": 2.0, "scope": {"type": "all"}} for f in range(3, 11)]
    often = [{"feature": strongest(demo, plain), "op": "scale", "value": 0.5, "scope": {"type": "all"}}]
    for clamps in (seldom, often, [*seldom, *often]):
        asked = ask(demo, clamps, controls=[], text="what do you see ?", sampling={"maxTokens": 24})
        seen = run(demo, asked, shown[:1])
        before = short[0]
        logits: list[Any] = []
        tap = Tap(on_logits=_keeping(logits))
        events = list(demo.generate(asked, shown[:1], {}, lambda: False, tap))
        assert (clamps is not seldom) or short[0] - before > 5
        assert [e["id"] for e in events if e["type"] == "token"] == seen.ids["steered"]
        np.testing.assert_array_equal(np.stack(logits), np.stack(seen.logits["steered"]))
        receipt = next(e["receipt"] for e in events if e["type"] == "receipt")
        assert {**receipt, "timingsMs": None} == {**seen.receipts["steered"], "timingsMs": None}
