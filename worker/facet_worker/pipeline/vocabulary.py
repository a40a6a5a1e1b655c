"""What a dictionary's rows say in the model's vocabulary: tokens that a feature writes, that it suppresses, and that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from facet_worker.bundle import SCHEMAS
from facet_worker.decoder import decoder_blocks
from facet_worker.dictionaries import Dictionary
from facet_worker.prompting import TextCodec

COUNT = 8
# Beyond so many products a processor takes minutes: a GPU makes them, or they are left out.
MOST_PRODUCTS = 4e12
_HELD = 1 << 26


def spellings(codec: TextCodec, size: int) -> list[str]:
    """Each token of the vocabulary as it is shown, with its leading space; markers by their name; empty for numbers without a token."""
    pieces = codec.tokenizer.convert_ids_to_tokens(list(range(min(size, len(codec.tokenizer)))))
    decoded = codec.tokenizer.batch_decode([[number] for number in range(len(pieces))])
    shown = []
    for number, (piece, text) in enumerate(zip(pieces, decoded, strict=True)):
        if number in codec.markers or piece is None:
            shown.append(codec.markers.get(number, ""))
        elif "▁" in piece:
            shown.append(piece.replace("▁", " "))
        else:
            # A part of a character has no text of its own.
            shown.append(piece if "\ufffd" in text else text)
    return shown + [""] * (size - len(shown))


def final_scale(model: Any, width: int) -> Tensor:
    """By what the norm behind the last block multiplies each direction, float32 [D]; ones where there is no such norm."""
    parent = model.get_submodule(decoder_blocks(model)[0].rpartition(".")[0])
    norms = [child for child in parent.children() if "norm" in type(child).__name__.lower()]
    if len(norms) != 1:
        return torch.ones(width)
    with torch.inference_mode():
        if isinstance(norms[0], nn.LayerNorm):
            return torch.ones(width) if norms[0].weight is None else norms[0].weight.detach().float().cpu()
        parameter = next(norms[0].parameters(), None)
        # A vector of ones has the root mean square 1, so that what comes out is the scale itself, however the class counts it.
        ones = torch.ones(1, width) if parameter is None else torch.ones(1, width, device=parameter.device, dtype=parameter.dtype)
        return torch.as_tensor(norms[0](ones))[0].float().cpu()


def _extremes(rows: Tensor, matrix: Tensor, named: Tensor, largest: bool, alive: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Of each living row [L, D] the tokens with the most extreme products with the matrix [V, D]."""
    count, step = min(COUNT, int(named.sum())), max(1, _HELD // len(matrix))
    away = -torch.inf if largest else torch.inf
    wanted = np.flatnonzero(alive)
    values, tokens = [np.zeros((0, count), np.float32)], [np.zeros((0, count), np.int64)]
    with torch.inference_mode():
        turned = matrix.float().T
        for start in range(0, len(wanted), step):
            part = torch.from_numpy(wanted[start : start + step]).to(rows.device)
            products = rows[part].float() @ turned
            products[:, ~named] = away
            found = products.topk(count, dim=1, largest=largest)
            values.append(found.values.cpu().numpy())
            tokens.append(found.indices.cpu().numpy())
    ranks = np.tile(np.arange(count, dtype=np.int16), len(wanted))
    return {
        "index": np.repeat(wanted.astype(np.int32), count), "rank": ranks, "token": np.concatenate(tokens).reshape(-1),
        "value": np.concatenate(values).reshape(-1),
    }  # fmt: skip


def token_table(model: Any, codec: TextCodec, sae: Dictionary, alive: np.ndarray[Any, Any]) -> pa.Table:
    """Rows of tokens.parquet for features that ever fire: decoder row · unembedding for `writes` and `suppresses`, encoder row · embedding for `reads`.

    Empty where the products would take a processor minutes, and where the model has no such matrices.
    """
    schema = SCHEMAS["tokens"]
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    matrices = [part.weight for part in (head, embedding) if part is not None and getattr(part, "weight", None) is not None]
    products = 3.0 * sae.num_latents * sae.width * max((len(matrix) for matrix in matrices), default=0)
    fits = all(matrix.ndim == 2 and matrix.shape[1] == sae.width for matrix in matrices)
    if len(matrices) < 2 or not fits or not (sae.w_dec.is_cuda or products <= MOST_PRODUCTS):
        return schema.empty_table()
    device = sae.w_dec.device
    written = sae.w_dec * final_scale(model, sae.width).to(device, sae.w_dec.dtype)
    tables = []
    kinds = (("writes", written, matrices[0], True), ("suppresses", written, matrices[0], False), ("reads", sae.w_enc, matrices[1], True))
    words = spellings(codec, max(len(matrix) for matrix in matrices))
    for kind, rows, matrix, largest in kinds:
        named = torch.tensor([bool(word) for word in words[: len(matrix)]], device=device)
        columns = _extremes(rows, matrix.to(device), named, largest, alive)
        shown = pa.array(words).take(pa.array(columns.pop("token")))
        table = pa.table({**columns, "token": shown, "kind": pa.array([kind] * len(shown), pa.string())})
        tables.append(table.select(schema.names).cast(schema))
    return pa.concat_tables(tables)
