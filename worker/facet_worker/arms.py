"""One arm of a run: what it does at the hook, and the tokens that it writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facet_worker.clamping import ClampedRows, Variant, clamp_rows
from facet_worker.dictionaries import Dictionary
from facet_worker.engine import HookEvent, Tap
from facet_worker.errors import FacetError
from facet_worker.ledger import Ledger
from facet_worker.planning import ClampPlan
from facet_worker.prompting import TextCodec
from facet_worker.sampling import choose_token, create_random, likeliest, log_softmax
from facet_worker.token_clamps import TokenClamps, inactive

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
_FIRST = torch.zeros(1, dtype=torch.long)
_NEVER = -1e9  # ln of a probability of zero, which JSON cannot say


@dataclass(frozen=True)
class ArmSetting:
    """`plan` has no clamps for `baseline` and `reconstruction`; `reconstructs`: the dictionary's output replaces the hidden states."""

    arm: str
    plan: ClampPlan
    reconstructs: bool
    variant: Variant = field(default_factory=Variant)
    sweep: Mapping[str, Any] | None = None


class ArmRun:
    """Clamps its passes through the hook, counts them, and writes token by token."""

    def __init__(
        self,
        setting: ArmSetting,
        request: Mapping[str, Any],
        sae: Dictionary,
        codec: TextCodec,
        ends: frozenset[int],
        watch: Sequence[Any],
        tap: Tap,
    ) -> None:
        self.setting, self.request, self.sae, self.codec, self.ends, self.watch, self.tap = setting, request, sae, codec, ends, watch, tap
        self.arm, self.plan = setting.arm, setting.plan
        self.mode = "reconstruct" if setting.reconstructs else "delta"
        self.ledger = Ledger(self.plan, self.arm, self.mode)
        self.random: Callable[[], float] = create_random(request["sampling"]["seed"])
        self.ids: list[int] = []
        self.text = ""
        self.finish: str | None = None
        self.first: npt.NDArray[np.float64] | None = None
        self.seen: list[dict[str, Any]] = []
        self.logits = np.zeros(0, np.float32)
        self.prefill_ms = self.decode_ms = 0.0
        device = sae.w_dec.device
        self.rows = [torch.from_numpy(clamp.positions).to(device) for clamp in self.plan.clamps]
        self.tokens = TokenClamps(self.plan, setting.variant, sae) if self.plan.generated else None

    @property
    def position(self) -> int:
        """Of the token written last."""
        return self.plan.layout.length + len(self.ids) - 1

    def covered(self) -> Tensor:
        """Prompt positions whose latents this arm's pass needs, ascending."""
        if self.mode == "reconstruct":
            return torch.arange(self.plan.layout.length, device=self.sae.w_dec.device)
        return torch.unique(torch.cat(self.rows)) if self.rows else torch.zeros(0, dtype=torch.long, device=self.sae.w_dec.device)

    @property
    def acts(self) -> bool:
        """Whether the pass of a generated token is changed, counted or looked at."""
        return bool(self.plan.generated) or self.mode == "reconstruct" or self.tap.on_hidden is not None

    def at_hook(self, hidden: Tensor, prefill: bool, encode: Encode | None = None) -> Tensor:
        """What the blocks above are given in place of hidden states [R, D] of one pass, in their dtype; counted here.

        `encode` gives the latents of rows by their indices where they are known already.
        """
        if not prefill and self.tokens is not None:
            return self._token(hidden, self.tokens, encode)
        clamps = self.plan.clamps
        if prefill:
            which = [i for i, rows in enumerate(self.rows) if len(rows)]
            rows, first = [self.rows[i] for i in which], 0
        else:
            which = self.plan.generated
            rows, first = [torch.zeros(1, dtype=torch.long, device=hidden.device)] * len(which), self.position
        if not which and self.mode == "delta" and self.tap.on_hidden is None:
            return hidden
        wide = hidden.float()
        slab = clamp_rows(self.mode, clamps, which, rows, self.setting.variant, self.sae, wide, encode)
        counted = self.finish is None or prefill
        if self.tap.on_hidden is not None and counted:
            slab = ClampedRows(slab.output.clone(), slab.reference, slab.changes)
            self.tap.on_hidden(HookEvent(self.arm, first, wide.clone(), slab.output))
        given = slab.output.to(hidden.dtype)
        if counted:
            self.ledger.record(slab, given, slab.reference.to(hidden.dtype), hidden, first)
        return given

    def alone(self, hidden: Tensor) -> Tensor:
        """As `at_hook` for one token's state [1, 1, D], whose only row this arm is, with few calls: on a small model these cost more than what they compute."""
        given = self.rest(hidden)
        if given is not None:
            return given
        row = hidden[0]
        codes = self.sae.encode(row.float())
        if self.tokens is not None and self.tokens.quiet is not None:
            self.tokens.quiet.learn(codes[0][codes[1] > 0])
        return self.at_hook(row, False, lambda _: codes)[None]

    def rest(self, hidden: Tensor) -> Tensor | None:
        """What the blocks above are given in place of one token's state [1, 1, D] at which all clamped features are surely inactive; counted here.

        None where that is not sure, or where somebody looks at the hook.
        """
        tokens = self.tokens
        if tokens is None or tokens.quiet is None or hidden.dtype != torch.float32 or self.tap.on_hidden is not None:
            return None
        if not tokens.quiet.surely(hidden):
            return None
        given = hidden + tokens.at_rest.delta
        if self.finish is None:
            self.ledger.record_token(tokens, tokens.at_rest, given, hidden)
        return given

    def _token(self, hidden: Tensor, clamps: TokenClamps, encode: Encode | None) -> Tensor:
        wide = hidden.float()
        change = clamps.at_rest if encode is inactive else clamps.change(encode(_FIRST) if encode else self.sae.encode(wide))
        output = wide + change.delta
        if self.tap.on_hidden is not None and self.finish is None:
            self.tap.on_hidden(HookEvent(self.arm, self.position, wide.clone(), output))
        given = output.to(hidden.dtype)
        if self.finish is None:
            self.ledger.record_token(clamps, change, given, hidden)
        return given

    def write(self) -> dict[str, Any] | None:
        """Writes one token; None when there was none to write and the arm has finished."""
        i = len(self.ids)
        if self.tap.on_logits is not None:
            self.tap.on_logits(self.arm, i, torch.from_numpy(self.logits.copy()))
        logprobs = log_softmax(self.logits)
        if np.isnan(logprobs[0]):
            raise _out_of_range()
        if self.first is None:
            self.first = logprobs
        watched = self._watched(i, logprobs)
        token = self._choose(i)
        if token is None or token in self.ends:
            self.finish = "stop"
            return None
        logprob = float(logprobs[token])
        if not math.isfinite(logprob):
            raise _out_of_range()
        others = [
            {"id": other, "text": self.codec.shown(self.ids, other), "logprob": max(float(logprobs[other]), _NEVER)}
            for other in likeliest(logprobs, self.request["alternatives"])
        ]
        text = self.codec.added(self.ids, token)
        self.ids.append(token)
        self.text += text
        if len(self.ids) == self.request["sampling"]["maxTokens"]:
            self.finish = "length"
        event = {"type": "token", "arm": self.arm, "i": i, "id": token, "text": text, "logprob": logprob, "alternatives": others}
        return {**event, "watched": watched} if watched else event

    def _choose(self, i: int) -> int | None:
        forced = self.tap.force.get(self.arm)
        if forced is not None:
            return forced[i] if i < len(forced) else None
        return choose_token(self.logits, self.request["sampling"], self.random)

    def _watched(self, i: int, logprobs: npt.NDArray[np.float64]) -> list[float]:
        values = []
        for at, word in enumerate(self.watch):
            each = logprobs[word["ids"]]
            probability = float(np.exp(each).sum())
            value = max(math.log(probability) if probability > 0 else float(each.max()), _NEVER)
            values.append(value)
            if at == len(self.seen):
                self.seen.append({"word": word["word"], "first": value, "peak": value, "peakAt": i})
            elif value > self.seen[at]["peak"]:
                self.seen[at].update(peak=value, peakAt=i)
        return values

    def receipt(self, frame: Mapping[str, Any], baseline: npt.NDArray[np.float64] | None, queued_ms: float) -> dict[str, Any]:
        """What this arm did. Throws `clamp_nowhere` when the steered arm ended before a clamp on generated tokens met any."""
        finish = self.finish or "cancelled"
        unapplied = self.ledger.unapplied() if self.arm == "steered" and finish != "cancelled" else None
        if unapplied is not None:
            raise FacetError(
                f"The clamp on feature {self.plan.clamps[unapplied].feature} was applied nowhere: "
                "the answer ended before a generated token passed through the hook.",
                "clamp_nowhere",
                fix="Ask for a longer answer, or clamp the image or the prompt.",
            )
        far = None
        if baseline is not None and self.first is not None:
            far = min(1.0, float(np.abs(np.exp(self.first) - np.exp(baseline)).sum()) / 2)
        return {
            "arm": self.arm,
            **self.ledger.receipt(self.sae),
            "text": self.text,
            "finish": finish,
            **frame,
            **({"sweep": dict(self.setting.sweep)} if self.setting.sweep else {}),
            **({"watched": self.seen} if "watch" in self.request else {}),
            "fromBaseline": far,
            "mode": self.request["mode"],
            "sampling": dict(self.request["sampling"]),
            "tokens": len(self.ids),
            "timingsMs": {"queued": queued_ms, "prefill": round(self.prefill_ms, 2), "decode": round(self.decode_ms, 2)},
        }


def active_features(own: tuple[Tensor, Tensor], given: tuple[Tensor, Tensor], limit: int) -> list[dict[str, Any]]:
    """The `limit` strongest features of a token, from the codes [n] of its own state and of what the blocks above are given."""
    found: dict[int, dict[str, Any]] = {}
    for side, (indices, values) in (("before", own), ("after", given)):
        for index, value in zip(indices.tolist(), values.tolist(), strict=True):
            if value > 0:
                found.setdefault(index, {"index": index, "before": 0.0, "after": 0.0})[side] = value
    return sorted(found.values(), key=lambda f: (-max(f["before"], f["after"]), f["index"]))[:limit]


def _out_of_range() -> FacetError:
    return FacetError(
        "The clamps drove the model's numbers out of range, so it has no answer.",
        "engine_failed",
        fix="Use smaller strengths or a smaller scope.",
    )
