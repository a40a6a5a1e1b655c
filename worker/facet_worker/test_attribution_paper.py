"""One pass for all features says what the paper's procedure says of each: two passes forward and one back, over the stock model, a feature at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facet_worker.engine_checks import ask
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[2]
HOOK = "model.layers.1"


def test_agrees_with_the_papers_procedure_feature_by_feature() -> None:
    torch.set_num_threads(1)
    engine = TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")
    picture = np.random.default_rng(5).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    request = {
        **{name: ask(engine, text="what do you see ?")[name] for name in ("dictionary", "messages", "interventions", "mode")},
        **{"maxTokens": 3, "position": 0, "metric": {"type": "difference"}, "method": {"type": "gradient"}},
        **{"limit": 1000, "exact": 0, "alternatives": 0},
    }
    result = next(event["result"] for event in engine.attribute(request, [picture], {}, lambda: False) if event["type"] == "result")
    answer, baseline = result["metric"]["answer"]["id"], result["metric"]["baseline"]["id"]
    served = engine.served[request["dictionary"]]
    inputs = engine.prompter.assemble(request["messages"], [picture], 3).inputs

    def passed(change: Any) -> tuple[Tensor, Tensor]:
        """The residual at the hook [T, D] and logit[answer] − logit[baseline] at the last position."""
        seen: list[Tensor] = []

        def at_hook(_module: Any, _args: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            seen.append(change(hidden.detach()))
            return (seen[0], *output[1:]) if isinstance(output, tuple) else seen[0]

        handle = served.block.register_forward_hook(at_hook)
        try:
            logits = engine.hooked.model(**inputs).logits[0, -1]
        finally:
            handle.remove()
        return seen[0], logits[answer] - logits[baseline]

    largest = max(abs(row["estimate"]) for row in result["rows"])
    for row in [*result["rows"][:6], *result["rows"][40:42]]:
        clean, metric = passed(lambda hidden: hidden.requires_grad_())
        (gradient,) = torch.autograd.grad(metric, clean)

        def without(hidden: Tensor, feature: int = row["feature"]) -> Tensor:
            indices, values = served.sae.encode(hidden[0])
            activation = torch.where(indices == feature, values, 0.0).sum(-1)
            return hidden - activation[:, None] * served.sae.w_dec[feature]

        with torch.no_grad():
            ablated, _ = passed(without)
        attributed = ((clean - ablated) * gradient).sum(-1)[0].detach().double().numpy()
        wanted = np.zeros(len(attributed))
        wanted[row["at"]["positions"]] = row["at"]["values"]
        assert np.abs(attributed - wanted).max() <= 1e-4 * largest
        assert abs(attributed.sum() - row["estimate"]) <= 1e-4 * largest
