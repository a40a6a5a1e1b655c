"""What clamps cost in the worker: tokens a second with 0, 1, 8 and 64 clamps in mode `delta`, first token, memory, 1 and 8 streams.

    .venv/bin/python bench/worker_clamps.py demo                      the embedded model
    .venv/bin/python bench/worker_clamps.py 1b                        a random Llama of 1.1 billion parameters, float32 on the processor
    .venv/bin/python bench/worker_clamps.py 8b --device cuda          a random LLaVA-NeXT of 8 billion in bfloat16 with 131,072 × 4,096 latents

All cases write a token each in turn, in another order every time, so that whatever else the machine does falls on all alike; no clamps are there twice: the
mean of both is what the others are compared with, and what of a ratio is chance shows between them. Features are drawn; of `8 firing`, on the embedded model,
they are those that fire on most of the tokens. Clamps cover the prompt and every generated token. `--rounds N` writes the same answers N times. Of each case

- `median`: over all tokens, of no clamps' time by the case's, by the clock and by the processor's time, with the middle 90 % of 2,000 resamplings;
- `total`: no clamps' time for the whole answer by the case's, of each token the least of the rounds, so that the few tokens that take long count in full.

`--out FILE` writes the numbers as JSON. `--narrow` shrinks the random models and their dictionaries until a processor runs them in seconds: to see that
the command works where there is no GPU, not to measure.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Numbers = npt.NDArray[np.float64]
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "worker"))

from facet_worker.dictionaries import Dictionary  # noqa: E402
from facet_worker.engine import HookEvent, Tap  # noqa: E402
from facet_worker.engine_checks import ask  # noqa: E402
from facet_worker.jobs import Asked, Together  # noqa: E402
from facet_worker.torch_engine import TorchEngine  # noqa: E402

COUNTS = {"0": 0, "0 again": 0, "1": 1, "8": 8, "64": 64}
WORDS = ["<pad>", "<unk>", "<s>", "</s>", "<image>", "what", "is", "it", "?", "a", "b", "c"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% for p in m['content'] if p['type'] == 'image' %}<image>{% endfor %}"
    "{% for p in m['content'] if p['type'] == 'text' %} {{ p['text'] }}{% endfor %}{% endfor %}"
)


def tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in WORDS[:5]])
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names, extra_special_tokens={"image_token": "<image>"})


NARROW: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512, "num_hidden_layers": 3,
}  # fmt: skip


def random_model(size: str, device: str, narrow: bool = False) -> tuple[Any, Any, Dictionary, int]:
    """A model, its processor, a dictionary, and the block that it is for; `narrow`: the same with as many image tokens, and little else."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
        LlavaProcessor,
        SiglipImageProcessorPil,
    )

    common: dict[str, Any] = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 8192}
    dtype = torch.bfloat16 if size == "8b" else torch.float32
    less = NARROW if narrow else {}
    if size == "8b":
        text = LlamaConfig(**{
            "vocab_size": 128_320, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "rope_theta": 500_000.0, **common, **less,
        })  # fmt: skip
        tower = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "projection_dim": 768}
        if narrow:
            tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "projection_dim": 32}
        vision = CLIPVisionConfig(image_size=336, patch_size=14, **tower)
        pinpoints = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
        config: Any = LlavaNextConfig(vision_config=vision, text_config=text, image_token_index=4, image_grid_pinpoints=pinpoints)
        kind: Any = LlavaNextForConditionalGeneration
        images: Any = LlavaNextImageProcessorPil(size={"shortest_edge": 336}, crop_size=336, image_grid_pinpoints=pinpoints)
        processor: Any = LlavaNextProcessor(
            images,
            tokenizer(),
            patch_size=14,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=TEMPLATE,
        )
        latents, layer, k = 131_072, 24, 256
    else:
        text = LlamaConfig(**{
            "vocab_size": 32_000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
            "num_key_value_heads": 4, **common, **less,
        })  # fmt: skip
        vision = CLIPVisionConfig(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=8, projection_dim=64
        )  # fmt: skip
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=4, image_seq_length=64, vision_feature_select_strategy="default"
        )  # fmt: skip
        kind, images = LlavaForConditionalGeneration, SiglipImageProcessorPil(size={"height": 64, "width": 64})
        processor = LlavaProcessor(
            images,
            tokenizer(),
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=TEMPLATE,
        )
        latents, layer, k = 32_768, 15, 64
    if narrow:
        latents, layer, k = 2048, 1, 16
    torch.manual_seed(0)
    model = filled(kind, config, device, dtype)
    w = torch.randn(latents, text.hidden_size, device=device, dtype=dtype)
    w /= w.norm(dim=1, keepdim=True)
    return model, processor, Dictionary(w, torch.zeros(latents), w, torch.zeros(text.hidden_size), "topk", k), layer


def filled(kind: Any, config: Any, device: str, dtype: torch.dtype) -> Any:
    """A model of the class with weights from one small block of random numbers: drawing billions takes minutes."""
    with torch.device("meta"):
        model = kind(config)
    model = model.to(dtype).to_empty(device=device)
    # A length that no row divides, so that rows differ.
    block = 0.02 * torch.randn(1_048_573, device=device, dtype=dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1:
                p.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                p.view(-1).copy_(block.repeat(-(-p.numel() // len(block)))[: p.numel()])
    # What is no parameter was made on no device, without numbers.
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "inv_freq"):
                setattr(module, name, type(child)(child.config).to(device))
        if isinstance(getattr(module, "position_ids", None), torch.Tensor):
            module.position_ids = torch.arange(module.position_ids.shape[-1], device=device)[None]
    return model


def open_engine(size: str, device: str, narrow: bool = False) -> TorchEngine:
    if size == "demo":
        return TorchEngine.load(ROOT / "demo/model", [ROOT / "demo/dictionaries/model.layers.1"], device=device, model_id="demo")
    model, processor, sae, layer = random_model(size, device, narrow)
    return TorchEngine(model, processor, {f"model.layers.{layer}": sae}, size, "0" * 64)


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class Case:
    """One or several streams with so many clamps, open until closed."""

    def __init__(self, engine: TorchEngine, features: Sequence[int], streams: int, tokens: int, device: str, look: Any = None) -> None:
        self.times: list[float] = []
        self.processor: list[float] = []
        self.device = device
        picture = np.random.default_rng(1).integers(0, 256, (672, 672, 3), dtype=np.uint8)
        listed = [{"feature": int(f), "op": "set", "value": 4.0, "scope": {"type": "all"}} for f in features]
        # On a processor a large model would spend the time on the picture.
        pictures = [] if engine.model_id == "1b" else [picture]
        many = len(pictures)
        asked = ask(engine, listed, controls=[], text="what is it ?", images=many, alternatives=0, sampling={"maxTokens": tokens})
        self.hooked, self.covers = engine.hooked, bool(features)
        self.block = engine.served[engine.dictionaries()[0]].block
        self.together = Together(engine.hooked)
        force = {"steered": [5 + i % 7 for i in range(tokens)]}
        for i in range(streams):
            self.together.add(i, engine.job(Asked(asked, pictures, tap=Tap(look, force=force))))
        self.steps = iter(self._steps())

    def _steps(self) -> Iterator[None]:
        while self.together.jobs:
            # As it is where a case has the model for itself.
            if self.covers and self.times:
                self.hooked.attach(self.block)
            else:
                self.hooked.detach()
            wait(self.device)
            start, used = time.perf_counter(), time.process_time()
            for _ in self.together.step():
                pass
            wait(self.device)
            self.times.append(1e3 * (time.perf_counter() - start))
            self.processor.append(1e3 * (time.process_time() - used))
            yield


def median(base: Numbers, own: Numbers) -> dict[str, Any]:
    """Of the ratios of times [n], and where the middle 90 % of resampled medians lie."""
    ratios = base / own
    drawn = np.median(np.random.default_rng(0).choice(ratios, (2_000, len(ratios))), axis=1)
    return {"ratio": round(float(np.median(ratios)), 3), "interval": [round(float(each), 3) for each in np.quantile(drawn, (0.05, 0.95))]}


def firing(engine: TorchEngine, n: int, tokens: int, device: str) -> list[int]:
    """The features that fire on most of the tokens that a case writes."""
    counts = torch.zeros(engine.served[engine.dictionaries()[0]].sae.num_latents, dtype=torch.long)

    def look(event: HookEvent) -> None:
        indices, values = engine.served[engine.dictionaries()[0]].sae.encode(event.hidden)
        if len(event.hidden) == 1:
            counts[indices[values > 0].cpu()] += 1

    case = Case(engine, [], 1, tokens, device, look)
    for _ in case.steps:
        pass
    return counts.topk(n).indices.tolist()


def base(name: str, times: Mapping[str, Sequence[Numbers]]) -> Numbers:
    """What a case is compared with [rounds, n]: no clamps, of both cases the mean."""
    none = np.stack(times["0"])
    return none if name.startswith("0") else (none + np.stack(times["0 again"])) / 2


def measure(engine: TorchEngine, streams: int, tokens: int, device: str, rounds: int = 1, often: bool = False) -> dict[str, Any]:
    """The first step reads the prompt; the last writes a token that does not enter the model: neither is a token's time."""
    drawn = np.random.default_rng(2).permutation(engine.served[engine.dictionaries()[0]].sae.num_latents)
    features = {name: drawn[:n].tolist() for name, n in COUNTS.items()}
    if often:
        features["8 firing"] = firing(engine, 8, tokens, device)
    names, order = list(features), np.random.default_rng(3)
    clock: dict[str, list[Numbers]] = {name: [] for name in names}
    processor: dict[str, list[Numbers]] = {name: [] for name in names}
    first: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        cases = {name: Case(engine, features[name], streams, tokens, device) for name in names}
        for _i in range(tokens):
            for name in order.permutation(names):
                next(cases[name].steps, None)
        for name, case in cases.items():
            first[name].append(case.times[0])
            clock[name].append(np.array(case.times[2:-1]))
            processor[name].append(np.array(case.processor[2:-1]))
    table, kinds = {}, (("clock", clock), ("processor", processor))
    for name in names:
        usual = float(np.median(clock[name]))
        table[name] = {
            "firstTokenMs": round(statistics.median(first[name]), 1),
            "tokenMs": round(usual, 2),
            "tokensPerSecond": round(1e3 * streams / usual, 2),
            "median": {kind: median(base(name, times).ravel(), np.ravel(times[name])) for kind, times in kinds},
            "total": {kind: round(float(base(name, times).min(0).sum() / np.min(times[name], 0).sum()), 3) for kind, times in kinds},
        }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=["demo", "1b", "8b"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--streams", type=int, nargs="*", default=None, help="1 and 8 on a GPU, 1 elsewhere")
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    cuda = args.device.startswith("cuda")
    engine = open_engine(args.size, args.device, args.narrow)
    found: dict[str, Any] = {
        "model": args.size,
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "dtype": str(engine.hooked.dtype),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "parameters": sum(p.numel() for p in engine.hooked.model.parameters()),
        "latents": next(iter(engine.served.values())).sae.num_latents,
        "tokens": args.tokens,
        "rounds": args.rounds,
        "streams": {},
    }
    if cuda or args.size == "demo":
        measure(engine, 1, 4, args.device)
    for streams in args.streams or ([1, 8] if cuda else [1]):
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        found["streams"][str(streams)] = measure(engine, streams, args.tokens, args.device, args.rounds, args.size == "demo")
        peak = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["streams"][str(streams)]["peakMiB"] = peak >> 20
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
