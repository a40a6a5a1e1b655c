"""The PyTorch engine's attributions: equal to the exported gradient's, sums that close, slopes and ablations that generation bears out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import torch
from jsonschema import Draft202012Validator

from facet_worker.attribution_metric import rank_correlation
from facet_worker.checkpoint import load_checkpoint
from facet_worker.engine_checks import ask, run
from facet_worker.errors import FacetError
from facet_worker.sae import TopKSae
from facet_worker.split import SplitModel
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
HOOK = "model.layers.1"
REQUEST = Draft202012Validator(json.loads((ROOT / "worker/facet_worker/wire/attribute-request.schema.json").read_text()))
ABLATE = {"op": "ablate", "value": 0.0, "scope": {"type": "all"}}


@pytest.fixture(scope="module")
def demo() -> TorchEngine:
    torch.set_num_threads(1)
    return TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")


@pytest.fixture(scope="module")
def picture() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (96, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def words(demo: TorchEngine, picture: npt.NDArray[np.uint8]) -> list[int]:
    """An answer of six tokens."""
    written = run(demo, ask(demo, text="what do you see ?", controls=[]), [picture]).ids["steered"]
    return (written * 6)[:6]


def asked(demo: TorchEngine, words: list[int] | None, **more: Any) -> dict[str, Any]:
    plain = ask(demo, more.pop("clamps", ()), text="what do you see ?")
    request = {name: plain[name] for name in ("dictionary", "messages", "interventions", "mode")}
    usual = {"maxTokens": 6, "position": 2, "metric": {"type": "difference"}, "method": {"type": "gradient"}}
    counts = {"limit": 1000, "exact": 0, "alternatives": 5}
    return {**request, **usual, **counts, **({} if words is None else {"answer": words}), **more}


def explain(demo: TorchEngine, picture: Any, request: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """The result, the effects and all events."""
    REQUEST.validate(request)
    events = list(demo.attribute(request, [picture], {}, lambda: False))
    json.dumps(events, allow_nan=False)
    assert [event["type"] for event in events][-2:] == ["agreement", "done"]
    return events[0]["result"], [one for event in events if event["type"] == "measured" for one in event["effects"]], events


def logits_of(demo: TorchEngine, picture: Any, words: list[int], clamps: Any, place: int) -> npt.NDArray[np.float32]:
    request = ask(demo, clamps, text="what do you see ?", controls=[], sampling={"maxTokens": 8})
    return run(demo, request, [picture], force={"steered": words}).logits["steered"][place]


def test_equals_the_exported_gradient(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    result, _, _ = explain(demo, picture, asked(demo, words, metric={"type": "logprob", "from": 1, "to": 4}))
    checkpoint = load_checkpoint(ROOT / "demo/model")
    sae = TopKSae.load(ROOT / "demo/dictionaries" / HOOK)
    split = SplitModel(checkpoint.model, 1)
    prompt = demo.prompter.assemble(asked(demo, words)["messages"], [picture], 6)
    ids = torch.cat([prompt.inputs["input_ids"], torch.tensor([words[:3]])], 1)
    with torch.inference_mode():
        hidden, _ = split.lower(split.embed(ids, split.vision(prompt.inputs["pixel_values"])), *split.lower.empty(1))
        indices, values = sae.encode(hidden[0])
    session = ort.InferenceSession(ROOT / f"demo/model/gradient.{HOOK}.onnx", providers=["CPUExecutionProvider"])
    selector = np.zeros((3, checkpoint.model.lm_head.weight.shape[0]), np.float32)
    selector[[0, 1, 2], words[1:4]] = 1
    positions = np.arange(3) + prompt.layout.length
    feeds = {"hidden": hidden.numpy(), "positions": positions, "selector": selector, "normalizer": np.ones(3, np.float32)}
    metric, gradient = session.run(["metric", "gradient"], feeds)
    assert result["metric"]["value"] == pytest.approx(float(metric[0]), abs=1e-3)
    along = (torch.from_numpy(gradient[0])[:, None] * sae.w_dec[indices]).sum(-1) * values
    wanted = torch.zeros(sae.num_latents).index_add_(0, indices.flatten(), along.flatten())
    found = torch.zeros_like(wanted)
    for row in result["rows"]:
        found[row["feature"]] = row["estimate"]
    assert float((found - wanted).norm() / wanted.norm()) <= 1e-3
    assert result["sums"] == pytest.approx(along.sum(-1).tolist(), abs=1e-3 * float(along.sum(-1).abs().max()))


def test_parts_sum_to_the_whole_and_rows_say_where(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    result, _, _ = explain(demo, picture, asked(demo, words))
    totals = result["totals"]
    for part in ("total", "image", "text"):
        size = sum(abs(totals[name][part]) for name in ("features", "error", "bias"))
        assert abs(totals["features"][part] + totals["error"][part] + totals["bias"][part] - totals["whole"][part]) <= 1e-4 * size
    kinds = [position["kind"] for position in result["positions"]]
    assert kinds[-2:] == ["answer", "answer"]
    assert kinds.count("image") == 144
    assert len(result["sums"]) == len(kinds)
    assert sum(result["sums"]) == pytest.approx(totals["features"]["total"], abs=1e-6)
    for row in result["rows"]:
        assert row["estimate"] == pytest.approx(sum(row["at"]["values"]), abs=1e-6)
        on = sum(value for at, value in zip(row["at"]["positions"], row["at"]["values"], strict=True) if kinds[at] == "image")
        assert row["image"] == pytest.approx(on, abs=1e-6)


def test_estimates_are_slopes_and_effects_are_ablations_of_generation(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    result, effects, events = explain(demo, picture, asked(demo, words, exact=11))
    answer, baseline = result["metric"]["answer"]["id"], result["metric"]["baseline"]["id"]

    def metric(clamps: Any) -> float:
        logits = logits_of(demo, picture, words, clamps, 2)
        return float(logits[answer]) - float(logits[baseline])

    plain = metric(())
    assert result["metric"]["value"] == pytest.approx(plain, abs=1e-3)
    assert [one["feature"] for one in effects] == [row["feature"] for row in result["rows"][:11]]
    assert [event.get("done") for event in events if event["type"] == "measured"] == [8, 11]
    for one in (effects[0], effects[10]):
        feature = one["feature"]
        assert one["effect"] == pytest.approx(plain - metric([{"feature": feature, **ABLATE}]), abs=1e-3)
        scaled = [metric([{"feature": feature, "op": "scale", "value": 1 + step, "scope": {"type": "all"}}]) for step in (0.02, -0.02)]
        assert (scaled[0] - scaled[1]) / 0.04 == pytest.approx(one["estimate"], rel=0.05, abs=5e-3)


def test_states_are_those_that_clamps_left_and_the_answer_is_written_where_none_is_given(
    demo: TorchEngine, picture: Any, words: list[int]
) -> None:
    plain, _, _ = explain(demo, picture, asked(demo, None, position=0, metric={"type": "logit"}))
    assert [token["id"] for token in plain["answer"]] == run(demo, ask(demo, text="what do you see ?", controls=[], sampling={"maxTokens": 6}), [picture]).ids["steered"]  # fmt: skip
    clamps = [{"feature": plain["rows"][0]["feature"], "op": "scale", "value": -2, "scope": {"type": "all"}}]
    clamped, _, _ = explain(demo, picture, asked(demo, words, clamps=clamps, metric={"type": "logit"}))
    logits = logits_of(demo, picture, words, clamps, 2)
    assert clamped["metric"]["value"] == pytest.approx(float(logits[words[2]]), abs=1e-3)
    whole, _, _ = explain(demo, picture, asked(demo, words, method={"type": "integrated", "steps": 32}))
    gap = whole["metric"]["value"] - whole["method"]["withoutFeatures"]
    assert abs(whole["totals"]["features"]["total"] - gap) <= 0.05 * max(abs(gap), abs(whole["metric"]["value"]))


def test_in_bfloat16_sums_close_and_estimates_are_those_of_float32(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    half = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji", dtype="bfloat16")
    whole, _, _ = explain(demo, picture, asked(demo, words))
    result, effects, _ = explain(half, picture, asked(half, words, exact=2))
    assert result["metric"]["value"] == pytest.approx(whole["metric"]["value"], abs=0.125)
    shares = {name: result["totals"][name]["total"] for name in ("features", "error", "bias")}
    assert abs(sum(shares.values()) - result["totals"]["whole"]["total"]) <= 1e-4 * sum(map(abs, shares.values()))
    by_feature = [{row["feature"]: row["estimate"] for row in one["rows"]} for one in (whole, result)]
    features = sorted(by_feature[0] | by_feature[1])
    estimates, halved = (np.array([of.get(feature, 0.0) for feature in features]) for of in by_feature)
    assert np.linalg.norm(halved - estimates) <= 0.03 * np.linalg.norm(estimates)
    sums = np.array(whole["sums"])
    assert np.linalg.norm(np.array(result["sums"]) - sums) <= 0.05 * np.linalg.norm(sums)
    # Ablations are those of an answer in bfloat16, whose logits are so many steps apart.
    answer, baseline = result["metric"]["answer"]["id"], result["metric"]["baseline"]["id"]
    values = []
    ablated: list[dict[str, Any]] = [{"feature": effects[0]["feature"], **ABLATE}]
    for clamps in ([], ablated):
        logits = logits_of(half, picture, words, clamps, 2)
        values.append(float(logits[answer]) - float(logits[baseline]))
    assert values[0] - values[1] == pytest.approx(effects[0]["effect"], abs=0.125)
    assert abs(effects[0]["effect"]) > 1


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("place_unknown", {"position": 6}),
        ("place_unknown", {"metric": {"type": "logprob", "to": 7}}),
        ("invalid_request", {"metric": {"type": "logprob", "from": 3, "to": 3}}),
        ("invalid_request", {"metric": {"type": "difference", "answer": 5, "baseline": 5}}),
        ("token_unknown", {"metric": {"type": "logit", "answer": 1 << 30}}),
        ("feature_not_found", {"measure": [1 << 30]}),
        ("version_mismatch", {"version": "0" * 12}),
    ],
)
def test_refuses_at_once(demo: TorchEngine, picture: Any, words: list[int], code: str, more: dict[str, Any]) -> None:
    with pytest.raises(FacetError) as refused:
        demo.attribute(asked(demo, words, **more), [picture], {}, lambda: False)
    assert refused.value.code == code


def test_stops_between_two_passes(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    left: list[str] = []
    events = demo.attribute(asked(demo, words, exact=40), [picture], {}, lambda: len(left) > 1)
    with pytest.raises(FacetError) as refused:
        left.extend(event["type"] for event in events)
    assert refused.value.code == "cancelled"
    assert left == ["result", "measured"]


def test_ranks() -> None:
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert rank_correlation([1, 2, 2, 3], [3, 2, 2, 1]) == pytest.approx(-1)


def test_refuses_numbers_that_are_out_of_range(demo: TorchEngine, picture: Any, words: list[int]) -> None:
    """On the way back, as float16 has it, and in an ablation: never a line that is no JSON."""
    head = demo.hooked.model.get_output_embeddings()

    def overflow(_module: Any, _given: Any, out: torch.Tensor) -> None:
        if out.requires_grad:
            out.register_hook(lambda gradient: gradient * float("inf"))

    def ablations_overflow(_module: Any, _given: Any, out: torch.Tensor) -> torch.Tensor:
        return out if out.requires_grad else out * float("nan")

    for broken, method, exact, before in (
        (overflow, {"type": "gradient"}, 0, []),
        (overflow, {"type": "integrated", "steps": 2}, 0, []),
        (ablations_overflow, {"type": "gradient"}, 3, ["result"]),
    ):
        handle = head.register_forward_hook(broken)
        told: list[str] = []
        try:
            with pytest.raises(FacetError, match="out of range") as refused:
                told.extend(
                    json.dumps(event, allow_nan=False)
                    for event in demo.attribute(asked(demo, words, method=method, exact=exact), [picture], {}, lambda: False)
                )
        finally:
            handle.remove()
        assert refused.value.code == "engine_failed"
        assert [json.loads(event)["type"] for event in told] == before
    assert explain(demo, picture, asked(demo, words))[0]["rows"]
