"""131,072 latents: bounded memory, blocks equal to the whole, and the fused kernel equal to plain PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from facet_worker import dictionaries
from facet_worker.dictionaries import Dictionary
from facet_worker.sparse_decode import decode_in_blocks

LATENTS, WIDTH, K = 131_072, 64, 256
PATH = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


@pytest.fixture(scope="module")
def large() -> Dictionary:
    g = torch.Generator().manual_seed(0)
    w = torch.randn(LATENTS, WIDTH, generator=g)
    return Dictionary(w, 0.1 * torch.randn(LATENTS, generator=g), w / w.norm(dim=1, keepdim=True), torch.zeros(WIDTH), "topk", K)


def test_blocks_of_rows_give_what_the_whole_gives(large: Dictionary, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(1))
    whole = large.encode(x)
    with monkeypatch.context() as patch:
        patch.setattr(dictionaries, "_CHUNK_BYTES", 4 * LATENTS * 7)
        parts = large.encode(x)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
    same = parts[0] == whole[0]
    # Two latents that are equal to the last bit but one may change places.
    assert float(same.float().mean()) > 0.999
    half = decode_in_blocks(*whole, large.w_dec.bfloat16(), 4 * WIDTH * K * 7)
    np.testing.assert_allclose(half, decode_in_blocks(*whole, large.w_dec.bfloat16(), 1 << 40), atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(half, large.decode(*whole), atol=0.5, rtol=0.02)


def test_memory_does_not_grow_with_the_rows() -> None:
    """Peak memory of a process that encodes 40 and then 4,000 states, whose activations alone would take 2.1 GB."""
    program = """
        import resource, torch
        from facet_worker.dictionaries import Dictionary
        torch.set_num_threads(1)
        w = torch.zeros(131072, 8)
        w[:, 0] = torch.arange(131072) % 97
        sae = Dictionary(w, torch.zeros(131072), w, torch.zeros(8), "topk", 16)
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sae.encode(torch.ones(40, 8))
        small = peak()
        sae.encode(torch.ones(4000, 8))
        print(small, peak())
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=120, env=PATH
    )
    small, great = map(int, out.stdout.split())
    assert great - small < 1_000, (small, great)


def test_sparsifys_kernel_gives_the_same() -> None:
    """Interpreted where there is no GPU, which Triton does when told before it is loaded."""
    pytest.importorskip("sparsify.xformers", reason="sparsify is an extra: pip install 'facet-worker[gpu]'")
    program = """
        import torch
        from facet_worker.sparse_decode import decode_fused, decode_in_blocks, summed_rows
        g = torch.Generator().manual_seed(0)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        for dtype in (torch.float32, torch.float16) + ((torch.bfloat16,) if device == "cuda" else ()):
            w = torch.randn(100, 24, generator=g).to(device, dtype)
            indices, values = torch.randint(0, 100, (5, 7), generator=g).to(device), torch.rand(5, 7, generator=g).to(device)
            ours = decode_in_blocks(indices, values, w, 1 << 20)
            fused = decode_fused(indices, values, w)
            assert fused.dtype == torch.float32
            assert torch.allclose(ours, fused, atol=1e-5), (ours - fused).abs().max()
        # In training, with gradients, which are the same in every run.
        rows, indices = torch.randn(16, 12, generator=g).to(device), torch.randint(0, 9, (9, 3), generator=g).to(device)
        values, wanted = torch.rand(9, 3, generator=g).to(device), torch.randn(9, 12, generator=g).to(device)
        found = []
        for fused in (False, True, True):
            given = values.clone().requires_grad_(), rows.clone().requires_grad_()
            out = summed_rows(indices, *given, fused=fused)
            found.append([out.detach(), *torch.autograd.grad((out - wanted).square().sum(), given)])
        for plain, fused, again in zip(*found):
            assert torch.allclose(plain, fused, atol=1e-4, rtol=1e-5), (plain - fused).abs().max()
            assert torch.equal(fused, again)
        assert not found[1][2][9:].any() and found[1][2][:9].any()
        print("same")
    """
    there = {**PATH, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, env=there)
    assert out.stdout.strip() == "same", out.stderr
