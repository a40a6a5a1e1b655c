"""The embedded model behind a real server on a loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.serve.checks import HOOK, Worker, running
from facet_worker.serve.host import EngineHost
from facet_worker.serve.settings import Settings
from facet_worker.torch_engine import TorchEngine

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def demo() -> TorchEngine:
    torch.set_num_threads(1)
    return TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries" / HOOK], model_id="facet-emoji")


@pytest.fixture(scope="session")
def worker(demo: TorchEngine) -> Iterator[Worker]:
    """With taps, so that tests can have long answers, and two places to wait."""
    with running(EngineHost(demo, Settings(taps=True, queue=2, request_bytes=1 << 20, image_pixels=40_000))) as found:
        yield found


@pytest.fixture(scope="session")
def picture() -> Pixels:
    return np.asarray(Image.radial_gradient("L").resize((96, 96)).convert("RGB"))
