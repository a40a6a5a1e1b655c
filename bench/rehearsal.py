"""A LLaVA-NeXT of random weights with the paper's 131,072 latents on its grid of 24 × 24, from pictures into the explorer: `.venv/bin/python bench/rehearsal.py`.

Each step is a process of its own, whose most memory and wall time are noted: `cache` and `publish` of the pipeline, `facet import` into a fresh catalogue, and the
server with one list, one list sorted by another column and some feature pages asked of it. The numbers go to bench/results/rehearsal.json. It needs the
built app (`npm run build`) for the server, about 8 GB of memory, and minutes. A step that is done is not done again: `--fresh` begins anew, `--only` picks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "rehearsal.json"
LATENTS, ACTIVE, WIDTH, HOOK, LAYERS = 131_072, 256, 64, "model.layers.2", 4
STEPS = ("make", "cache", "publish", "import", "serve")
REF = f"llava-next-random/{HOOK}"


def pipeline(pictures: int) -> str:
    return f"""run = "run"
[model]
path = "model"
id = "llava-next-random"
name = "LLaVA-NeXT of random weights"
devices = ["cpu"]
unchecked_dictionary = true
[images]
path = "pictures"
limit = {pictures}
captions = true
attribution = "Drawn at random."
[[dictionaries]]
path = "{HOOK}"
[cache]
band = 1
random = 1
text = 1
tokens = 4096
shard = 8
batch = 4
side = 96
[publish]
title = "A rehearsal"
"""


def make(folder: Path, pictures: int, features: int) -> None:
    """The model, its dictionary and the pictures."""
    import numpy as np
    import torch
    from PIL import Image
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessorPil,
        LlavaNextProcessor,
        PreTrainedTokenizerFast,
    )

    from facet_worker.sae import TopKSae

    torch.manual_seed(0)
    specials = ["<pad>", "<unk>", "<s>", "</s>", "<image>", "<user>", "<assistant>"]
    words = ["red", "green", "blue", "noise", "stripes", "dots", "a", "picture", "of"]
    ids = {word: number for number, word in enumerate([*specials, *words])}
    pinpoints = [[336, 672], [672, 336], [672, 672]]
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=336, patch_size=14, projection_dim=32
    )
    text = LlamaConfig(
        vocab_size=len(ids), hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=4096, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    config = LlavaNextConfig(vision_config=vision, text_config=text, image_token_index=4, image_grid_pinpoints=pinpoints)
    model = LlavaNextForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0, 1.0 if "embed_tokens" in name else 0.25)
    model.save_pretrained(folder / "model")
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}, image_grid_pinpoints=pinpoints, do_center_crop=True
    )
    template = (
        "{{ bos_token }}{% for m in messages %}{{ '<user>' if m['role'] == 'user' else '<assistant>' }}"
        "{% for p in m['content'] if p['type'] == 'image' %}<image>{% endfor %}{% for p in m['content'] if p['type'] == 'text' %} {{ p['text'] }}{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    LlavaNextProcessor(
        image_processor=images, tokenizer=fast, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template,
    ).save_pretrained(folder / "model")  # fmt: skip
    rows = torch.nn.functional.normalize(torch.randn(features, WIDTH), dim=1)
    TopKSae(rows.clone(), 0.01 * torch.randn(features), rows, torch.zeros(WIDTH), ACTIVE).save(folder / HOOK)
    generator = np.random.default_rng(0)
    (folder / "pictures").mkdir(exist_ok=True)
    for number in range(pictures):
        # Patches of noise of many scales, so that cells differ; some wide, some high.
        height, width = ((48, 48), (40, 80), (80, 40))[number % 3]
        coarse = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        fine = generator.integers(0, 96, (height, width, 3))
        grown = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int64)
        Image.fromarray(np.clip(grown + fine - 48, 0, 255).astype(np.uint8)).save(folder / "pictures" / f"{number}.png")
        (folder / "pictures" / f"{number}.txt").write_text(" ".join(generator.choice(words, 6)))
    (folder / "pipeline.toml").write_text(pipeline(pictures))


def _resident(pid: int) -> int:
    """Bytes of a process and of those that it started."""
    total = 0
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
        total += int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_resident(int(child)) for child in (task / "children").read_text().split())
    except (OSError, ValueError):
        pass
    return total


class Watched:
    """A process and the most memory that it and its children had together, looked at ten times a second."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.begun, self.most = time.monotonic(), 0
        with log.open("w") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while self.process.poll() is None:
            self.most = max(self.most, _resident(self.process.pid))
            time.sleep(0.1)

    def numbers(self) -> dict[str, Any]:
        return {"seconds": round(time.monotonic() - self.begun, 1), "peak_mib": round(self.most / (1 << 20))}


def run(command: list[str], env: dict[str, str], log: Path) -> dict[str, Any]:
    """Where this process is ended meanwhile, so is the step; the next time it goes on, and the most memory is that of all its processes."""
    kept = log.with_suffix(".peak")
    before = int(kept.read_text() or 0) if kept.is_file() else 0
    watched = Watched(command, env, log)
    try:
        if watched.process.wait():
            raise SystemExit(f"{' '.join(command)} ended with {watched.process.returncode}:\n{log.read_text()[-3000:]}")
    finally:
        watched.process.terminate()
        found = watched.numbers()
        found["peak_mib"] = max(found["peak_mib"], before)
        kept.write_text(str(found["peak_mib"]))
    kept.unlink()
    return found


def worker(folder: Path, step: str) -> dict[str, Any] | None:
    made = folder / "run" / step / "manifest.json"
    if made.is_file() and "finished" in json.loads(made.read_text()):
        return None
    env = {"PYTHONPATH": str(ROOT / "worker")}
    found = run([sys.executable, "-m", "facet_worker", step, str(folder / "pipeline.toml")], env, folder / f"{step}.log")
    manifest = json.loads(made.read_text())
    # All that was worked, where a killed process went on.
    return found | {"seconds_in_shards": manifest["seconds_in_shards"], "report": manifest["report"]}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def imported(folder: Path) -> dict[str, Any]:
    shutil.rmtree(folder / "data", ignore_errors=True)
    bundle = folder / "run" / "publish" / "bundle"
    rows = {name: entry["rows"] for name, entry in json.loads((bundle / "manifest.json").read_text())["files"].items()}
    command = ["node", "--import", "tsx", "cli/facet.ts", "import", str(bundle)]
    found = run(command, {"FACET_DATA_DIR": str(folder / "data"), "DATABASE_URL": ""}, folder / "import.log")
    return found | {
        "rows": rows,
        "bundle_mib": round(size_of(bundle) / (1 << 20)),
        "catalogue_mib": round(size_of(folder / "data") / (1 << 20)),
    }


def ask(url: str) -> tuple[float, bytes]:
    begun = time.monotonic()
    with urllib.request.urlopen(url, timeout=120) as answer:
        body: bytes = answer.read()
    return round(1000 * (time.monotonic() - begun), 1), body


def served(folder: Path, app: Path) -> dict[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["node", str(app / "node_modules/next/dist/bin/next"), "start", str(app), "-p", str(port), "-H", "127.0.0.1"]
    watched = Watched(command, {"FACET_DATA_DIR": str(folder / "data"), "DATABASE_URL": ""}, folder / "serve.log")
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                ask(f"{base}/api/health")
                break
            except OSError:
                if watched.process.poll() is not None:
                    raise SystemExit(f"The server ended:\n{(folder / 'serve.log').read_text()[-3000:]}") from None
                time.sleep(0.2)
        rows = f"{base}/api/features?dictionary={REF}&limit=50"
        page, body = json.loads(ask(rows)[1]), ask(f"{base}/d/{REF}")[1]
        assert page["total"] > 0
        assert len(page["items"]) == 50
        assert HOOK.encode() in body
        alive = [item["index"] for item in page["items"]]
        asked = {
            "list page": f"{base}/d/{REF}", "list": rows, "list sorted and filtered": f"{rows}&sort=-density&dead=0",
            **{f"feature page {index}": f"{base}/d/{REF}/{index}" for index in alive[:3]}, "feature": f"{base}/api/features/{REF}/{alive[5]}",
        }  # fmt: skip
        times = {name: [ask(url)[0] for _ in range(5)] for name, url in asked.items()}
        feature = json.loads(ask(asked["feature"])[1])
        assert all(feature[part] for part in ("tokens", "neighbours", "examples"))
        picture = ask(f"{base}/api/images/{feature['examples']['top'][0]['image']}")[1]
        assert picture[8:12] == b"WEBP"
        found = watched.numbers()
        return found | {"total": page["total"], "ms": {name: {"first": each[0], "median": sorted(each)[2]} for name, each in times.items()}}
    finally:
        watched.process.terminate()
        watched.process.wait()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended; the same command goes on."))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "artefacts" / "rehearsal")
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument(
        "--features", type=int, default=LATENTS, help="fewer show that the road is open; only the paper's width is kept as a result"
    )
    parser.add_argument("--only", choices=STEPS, nargs="+", default=STEPS)
    parser.add_argument("--app", type=Path, default=ROOT, help="the folder of a built app")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    folder: Path = options.work.resolve()
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "numbers.json"
    numbers: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    numbers["settings"] = {"latents": options.features, "k": ACTIVE, "width": WIDTH, "grid": "24 × 24", "pictures": options.pictures}
    todo = {
        "make": lambda: make(folder, options.pictures, options.features), "cache": lambda: worker(folder, "cache"), "publish": lambda: worker(folder, "publish"),
        "import": lambda: imported(folder), "serve": lambda: served(folder, options.app.resolve()),
    }  # fmt: skip
    for step in options.only:
        if step == "make" and (folder / "pipeline.toml").is_file():
            continue
        found = todo[step]()
        if found is not None:
            numbers[step] = found
            print(step, json.dumps({key: value for key, value in found.items() if key not in ("report", "rows")}), flush=True)
        file.write_text(json.dumps(numbers, indent=1) + "\n")
    if options.features == LATENTS and all(step in numbers for step in STEPS[1:]):
        RESULT.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
