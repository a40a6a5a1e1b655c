"""How much of the model's own loss survives when a dictionary's output takes the residual's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facet_worker.checkpoint import Checkpoint
from facet_worker.harvest import Harvester, Item
from facet_worker.sae import TopKSae
from facet_worker.split import UpperPart


def answer_mask(ids: Sequence[int], assistant: int, eos: int) -> list[bool]:
    """Which tokens of a text the model has to write: those between an assistant's mark and the end of its turn, the end included."""
    out, writing = [], False
    for token in ids:
        out.append(writing)
        writing = token == assistant or (writing and token != eos)
    return out


@torch.inference_mode()
def answer_loss(
    checkpoint: Checkpoint, layer: int, items: Sequence[Item], changes: dict[str, Callable[[Tensor], Tensor]], batch: int = 16
) -> dict[str, float]:
    """Mean cross-entropy (nats a token) over the answers' tokens, with the hidden state at the hook replaced at every position.

    Parameters
    ----------
    changes : name → a function of hidden states [.., D]
    """
    harvester, upper = Harvester(checkpoint, [layer]), UpperPart(checkpoint.model, layer)
    assistant, eos = checkpoint.tokenizer.convert_tokens_to_ids("<assistant>"), checkpoint.tokenizer.eos_token_id
    total, count = dict.fromkeys(changes, 0.0), 0
    for part, hidden in harvester.batches(items, batch):
        h = hidden[layer]
        for i, item in enumerate(part):
            rows = len(item.texts)
            longest = max(len(t) for t in item.texts)
            states = torch.stack([F.pad(t, (0, 0, 0, longest - len(t))) for t in h.texts[i]])
            ids = torch.zeros(rows, longest, dtype=torch.long)
            own = torch.zeros(rows, longest, dtype=torch.bool)
            for r, text in enumerate(item.texts):
                ids[r, : len(text)] = torch.tensor(text)
                own[r, : len(text)] = torch.tensor(answer_mask(text, assistant, eos))
            targets = ids[:, 1:][own[:, 1:]]
            count += len(targets)
            for name, change in changes.items():
                _, caches = upper(change(h.prefix[i : i + 1]), *upper.empty(1))
                logits, _ = upper(change(states), *[c.expand(rows, -1, -1, -1) for c in caches])
                total[name] += float(F.cross_entropy(logits[:, :-1][own[:, 1:]], targets, reduction="sum"))
    return {name: value / max(1, count) for name, value in total.items()} | {"tokens": count}


def loss_recovered(checkpoint: Checkpoint, layer: int, sae: TopKSae, items: Sequence[Item]) -> dict[str, float]:
    """(ablated − reconstructed) / (ablated − clean), where every position's hidden state is replaced, the template's too.

    `loss_recovered` takes mean ablation (each hidden state becomes the mean over image and text tokens of these items) as the floor;
    `loss_recovered_zero` takes zero ablation.
    """
    harvester = Harvester(checkpoint, [layer])
    sums, n = torch.zeros(checkpoint.width, dtype=torch.float64), 0
    for _, hidden in harvester.batches(items[:64]):
        states = torch.cat([hidden[layer].image.flatten(0, 1), *(t for one in hidden[layer].texts for t in one)])
        sums, n = sums + states.double().sum(0), n + len(states)
    mean = (sums / n).float()
    changes: dict[str, Callable[[Tensor], Tensor]] = {
        "clean": lambda h: h,
        "reconstructed": sae.reconstruct,
        "mean": lambda h: mean.expand_as(h).contiguous(),
        "zero": torch.zeros_like,
    }
    loss = answer_loss(checkpoint, layer, items, changes)

    def recovered(floor: str) -> float:
        return (loss[floor] - loss["reconstructed"]) / (loss[floor] - loss["clean"])

    return {
        "loss_recovered": recovered("mean"), "loss_recovered_zero": recovered("zero"), "loss_clean": loss["clean"], "loss_reconstructed": loss["reconstructed"],
        "loss_mean_ablated": loss["mean"], "loss_zero_ablated": loss["zero"], "loss_tokens": loss["tokens"],
    }  # fmt: skip
