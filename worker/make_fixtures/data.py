"""Small caches, explanations, scores and image sets written by other tools' own packages, with what those packages read back from them.

`expected.json` beside the files holds the numbers that the packages themselves compute; Facet's readers are tested against those. The script is run
by hand, in an environment of its own, because the packages do not fit beside the worker's:

    uv venv --python 3.11 data-venv
    uv pip install --python data-venv torch==2.15.0 transformers==5.24.0 datasets==5.2.0 safetensors==0.8.0 scipy==1.17.1 numpy==2.4.6 \
        orjson simple_parsing jaxtyping beartype eai-sparsify==1.3.3 faiss-cpu sentence_transformers asyncer aiofiles blobfile pandas plotly \
        scikit-learn requests python-dotenv pillow httpx tiktoken
    uv pip install --python data-venv --no-deps eai-delphi==0.1.3 sae-dashboard==0.8.0 neuronpedia==1.2.1
    data-venv/bin/python worker/make_fixtures/data.py lib/formats/data/fixtures

Written by packages: delphi's cache (eai-delphi's LatentCache, read back by its TensorBuffer), its explanations and scores (its parser and its output
type, judged by its result_analysis), saev's matrix (scipy, which saev itself calls), the Hugging Face image set (datasets). Neuronpedia's
dashboards are sae-dashboard's own, laid out as lines as its published converter does, and read back by the neuronpedia package. The paper's files
exist only as its repository's code, without a package: they are laid out here as that code writes them.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

# Asking a model needs vLLM, which does not install without a GPU; writing what was answered does not.
sys.modules["delphi.clients.offline"] = types.ModuleType("delphi.clients.offline")
sys.modules["delphi.clients.offline"].Offline = object  # type: ignore[attr-defined]

LATENTS, TEXTS, LENGTH, HOOK = 48, 24, 16, "layers.5"
WORDS = ["the", "a", "red", "blue", "old", "new", "cat", "dog", "house", "tree", "runs", "sleeps", "over", "under", "and", "."]


def sparse_latents(rng: np.random.Generator, items: int, tokens: int, latents: int, k: int = 3) -> np.ndarray:
    """Post-TopK activations float32 [items, tokens, latents]; features 7 and 8 of every ten never fire."""
    dense = rng.gamma(2.0, 1.5, (items, tokens, latents)).astype(np.float32)
    dense *= (rng.random((items, 1, latents)) < 0.5) * (np.arange(latents) % 10 < 7)
    kept = np.sort(dense, axis=-1)[..., -k][..., None]
    return np.where((dense >= kept) & (dense > 0), dense, 0).astype(np.float32)


def make_tokenizer(folder: Path) -> Any:
    """A byte-level BPE of a few merges, so that words fall apart as real ones do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    rng = np.random.default_rng(1)
    corpus = [" ".join(rng.choice(WORDS, 12)) for _ in range(200)] + ["naïve café 漢字 😀"] * 20
    alphabet = sorted({c for text in corpus for c, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text) for c in c})
    tokenizer.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=110, initial_alphabet=alphabet, special_tokens=["<s>"], show_progress=False)
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def delphi(out: Path) -> dict[str, Any]:
    """Cache, explanations and scores of one run."""
    from delphi.config import CacheConfig
    from delphi.latents.cache import LatentCache
    from delphi.latents.loader import TensorBuffer

    rng = np.random.default_rng(2)
    tokenizer = make_tokenizer(out)
    ids = [i for text in range(80) for i in tokenizer.encode("<s>" + " ".join(rng.choice(WORDS, 10)) + " café 漢字 😀")]
    tokens = torch.tensor(ids[: TEXTS * LENGTH]).reshape(TEXTS, LENGTH)
    latents = torch.from_numpy(sparse_latents(rng, TEXTS, LENGTH, LATENTS))
    cache = LatentCache(types.SimpleNamespace(), {}, batch_size=4)  # type: ignore[arg-type]
    cache.width = LATENTS
    for batch in range(TEXTS // 4):
        cache.cache.add(latents[4 * batch : 4 * batch + 4], tokens[4 * batch : 4 * batch + 4], batch, HOOK)
    cache.cache.save()
    cache.save_splits(n_splits=3, save_dir=out / "latents")
    config = CacheConfig(dataset_repo="example/texts", batch_size=4, cache_ctx_len=LENGTH, n_tokens=TEXTS * LENGTH, n_splits=3)
    cache.save_config(out / "latents", config, "example/model")

    features: dict[int, Any] = {}
    for file in sorted((out / "latents" / HOOK).glob("*.safetensors")):
        for data in TensorBuffer(str(file), HOOK):
            where, values = data.activation_data.locations, data.activation_data.activations.float()
            peaks = torch.zeros(TEXTS).scatter_reduce(0, where[:, 0], values, "amax")
            order = sorted(range(TEXTS), key=lambda t: (-peaks[t].item(), t))[:10]
            tops = [t for t in order if peaks[t] > 0]
            first = where[:, 0] == tops[0]
            features[data.latent.latent_index] = {
                "count": len(values),
                "max": values.max().item(),
                "mean": values.double().mean().item(),
                "density": len(values) / (TEXTS * LENGTH),
                "top": tops,
                "peaks": [peaks[t].item() for t in tops],
                "map": {"positions": where[first][:, 1].tolist(), "values": values[first].tolist()},
            }
    spelled = [tokenizer.batch_decode([[i] for i in row]) for row in tokens.tolist()]
    return {
        "latents": LATENTS,
        "texts": TEXTS,
        "length": LENGTH,
        "features": features,
        "tokens": spelled,
        **delphi_texts(out, spelled, rng),
    }


def delphi_texts(out: Path, spelled: list[list[str]], rng: np.random.Generator) -> dict[str, Any]:
    """Explanations as its explainer parses and writes them, scores as its classifier's output type."""
    from delphi.explainers.default.default import DefaultExplainer
    from delphi.log.result_analysis import compute_classification_metrics, compute_confusion, load_data
    from delphi.scorers.classifier.sample import ClassifierOutput

    explainer = DefaultExplainer(client=None)  # type: ignore[arg-type]
    answers = {
        0: "Thinking…\n[EXPLANATION]: The word “cat”, and what cats do.",
        1: "I would rather not say.",
        2: "[EXPLANATION]:   ",
        3: "[EXPLANATION]: " + "A very long account of colours. " * 3500,
        4: "[EXPLANATION]: Verbs of motion\nand of rest",
    }
    (out / "explanations").mkdir(parents=True)
    explanations = {}
    for latent, answer in answers.items():
        explanations[latent] = explainer.parse_explanation(answer)
        (out / "explanations" / f"{HOOK}_latent{latent}.txt").write_bytes(orjson.dumps(explanations[latent]))
    for scorer in ("detection", "fuzz"):
        folder = out / "scores" / scorer
        folder.mkdir(parents=True)
        for latent in (0, 3, 4):
            items = []
            for n in range(12):
                activating = bool(n % 3)
                prediction = None if (latent == 4 and n % 4 == 0) else bool(rng.random() < (0.8 if activating else 0.3))
                correct = None if prediction is None else prediction == activating
                items.append(
                    ClassifierOutput(spelled[n][:6], rng.random(6).round(3).tolist(), n % 5, activating, prediction, None, correct)
                )
            (folder / f"{HOOK}_latent{latent}.txt").write_bytes(orjson.dumps(items))
    frame, _ = load_data(out / "scores", [HOOK])
    scores = {}
    for (scorer, latent), group in frame.groupby(["score_type", "latent_idx"]):
        group = group[group.prediction.notna()]
        group = group.assign(prediction=group.prediction.astype(float))
        metrics = compute_classification_metrics(compute_confusion(group))
        scores[f"{scorer} {latent}"] = {"accuracy": float(metrics["accuracy"]), "n": int(metrics["total_examples"])}
    return {"explanations": explanations, "scores": scores}


def draw(index: int, size: int = 48) -> Any:
    """A picture that differs in every quarter."""
    from PIL import Image

    rng = np.random.default_rng(index)
    quarters = rng.integers(0, 255, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(quarters, np.ones((size // 2, size // 2, 1), dtype=np.uint8)))


def image_set(out: Path, count: int) -> dict[str, Any]:
    """A Parquet file as `datasets` writes it; picture 3 is a JPEG that lies on its side, with the orientation in its EXIF."""
    from datasets import Dataset, Features, Image, Value, load_dataset

    encoded = []
    for index in range(count):
        picture, buffer = draw(index), io.BytesIO()
        if index == 3:
            exif = picture.getexif()
            exif[0x0112] = 6
            picture.crop((0, 0, 48, 32)).save(buffer, "JPEG", quality=95, exif=exif)
        else:
            picture.save(buffer, "PNG" if index % 2 else "JPEG")
        encoded.append({"bytes": buffer.getvalue(), "path": f"picture-{index}.{'png' if index % 2 and index != 3 else 'jpg'}"})
    columns = {"image": encoded, "source": [f"example/{index}" for index in range(count)]}
    out.mkdir(parents=True)
    Dataset.from_dict(columns, features=Features({"image": Image(), "source": Value("string")})).to_parquet(str(out / "images.parquet"))
    seen = load_dataset("parquet", data_files=str(out / "images.parquet"), split="train", cache_dir=str(out / "cache"))
    pictures = [
        {"size": row["image"].size, "corner": list(row["image"].convert("RGB").getpixel((2, 2))), "source": row["source"]} for row in seen
    ]
    shutil.rmtree(out / "cache")
    return {"pictures": pictures}


def over_images(dense: np.ndarray) -> dict[int, Any]:
    """Of post-TopK activations [images, cells, latents]: what a feature's statistics and top five are, by means over the grid."""
    features = {}
    for latent in range(dense.shape[2]):
        mine = dense[:, :, latent].astype(np.float64)
        means = mine.mean(1)
        order = [int(i) for i in np.argsort(-means, kind="stable") if means[i] > 0]
        features[latent] = {
            "count": int((mine > 0).sum()),
            "max": float(mine.max()),
            "mean": float(mine[mine > 0].mean()) if (mine > 0).any() else 0.0,
            "density": float((mine > 0).mean()),
            "images": len(order),
            "top": order[:5],
            "means": [float(means[i]) for i in order[:5]],
        }
    return features


def paper(out: Path) -> dict[str, Any]:
    """Cache over images as `save_splits` lays it out (its last feature of each file is left out, a fault of its own), and the JSON files."""
    from safetensors.torch import save_file

    images, side, latents, tiles = 12, 4, 40, 5
    rng = np.random.default_rng(4)
    dense = sparse_latents(rng, images, side * side + tiles, latents)
    values = torch.from_numpy(dense)
    locations, activations = torch.nonzero(values.abs() > 1e-5), values[values.abs() > 1e-5]
    edges = torch.linspace(0, latents, steps=3).long()
    folder = out / "cache" / "model.layers.24"
    folder.mkdir(parents=True)
    for start, end in zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), strict=True):
        mask = (locations[:, 2] >= start) & (locations[:, 2] < end)
        save_file({"locations": locations[mask], "activations": activations[mask]}, folder / f"{start}_{end}.safetensors")
    key = "model.layers.24_feature{}".format
    texts = {
        0: "The images all show a lemon.\nYellow, round, shiny.",
        1: "Unable to produce descriptions",
        2: "Response I do not know. Explanation could not be parsed.",
        3: "",
        4: "x" * 100_000,
        5: "naïve café 漢字 😀",
    }
    listed = [{key(i): text} for i, text in texts.items()] + [{key(6): None}]
    files = {
        "model_layers_24.json": listed,
        "refined.json": {key(0): "lemon", key(1): "Unable to produce descriptions", key(5): "café"},
        "labels.json": {key(0): "Object", key(5): "color."},
        "iou.json": [
            {
                "feature": key(0),
                "iou_scores": [0.5, 0.25, -1, 0.75, float("nan")],
                "avg_iou": 0.3,
                "k": 5,
                "activated_pct": 0.1,
                "label": "lemon",
            },
            {"feature": key(1), "iou_scores": [], "avg_iou": -1, "k": -1, "activated_pct": -1, "label": "Unable to produce descriptions"},
            {"feature": key(5), "iou_scores": [-1, -1], "avg_iou": 0.0, "k": 2, "activated_pct": 0, "label": "café"},
        ],
        "clip.json": [{"feature": key(0), "clip_scores": [23.5, 24.5], "avg_score": 24.0, "k": 2, "label": "lemon"}],
        "consistency.json": {key(0): "1", key(1): -1, key(5): "0"},
    }
    explained = out / "explanations"
    explained.mkdir(parents=True)
    for name, content in files.items():
        (explained / name).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return {"images": images, "side": side, "latents": latents, "features": over_images(dense[:, : side * side])}


def saev(out: Path) -> dict[str, Any]:
    """What saev's inference saves: scipy's packed CSR, tokens of one image after the other."""
    from scipy.sparse import csr_array, load_npz, save_npz, vstack

    images, side, latents = 12, 3, 24
    dense = sparse_latents(np.random.default_rng(5), images, side * side, latents)
    out.mkdir(parents=True)
    save_npz(out / "token_acts.npz", vstack([csr_array(one) for one in dense], format="csr"))
    read = load_npz(out / "token_acts.npz").toarray().reshape(images, side * side, latents)
    return {"images": images, "side": side, "latents": latents, "features": over_images(read)}


def neuronpedia(out: Path) -> dict[str, Any]:
    """Dashboards of sae-dashboard as the lines of an export."""
    from neuronpedia.np_activation import Activation
    from neuronpedia.np_explanation import Explanation
    from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardActivation, NeuronpediaDashboardFeature

    rng = np.random.default_rng(6)
    model, source = "gpt2-small", "6-res-jb"
    texts = [[" " + str(word) for word in rng.choice(WORDS, 12)] for _ in range(8)]
    texts[7] = ["<|endoftext|>", " naïve", " مرحبا", " 漢字", " 😀", "\n", " <b>bold</b>", ".", " the", " cat", " runs", "."]
    features, activations, explanations, expected = [], [], [], {}
    for index in range(12):
        examples = []
        for text in rng.permutation(8)[: 0 if index == 11 else 4]:
            values = np.where(rng.random(12) < 0.3, rng.gamma(2, 2, 12), 0).round(3)
            values[int(rng.integers(12))] = round(float(rng.gamma(3, 3)), 3) + 0.5
            examples.append(NeuronpediaDashboardActivation(0.0, float(values.max()), 0.1, texts[text], values.tolist(), 3))
        heights, edges = np.histogram(rng.gamma(2, 2, 400), 50)
        shown = 50 if examples else 0
        top = max((max(example.values) for example in examples), default=0.0)
        dashboard = NeuronpediaDashboardFeature(
            feature_index=index,
            pos_str=[" cat", " dog", " 漢"],
            pos_values=[1.5, 1.25, 0.5],
            neg_str=[" no"],
            neg_values=[-1.0],
            frac_nonzero=0.0 if index == 11 else 0.01 * (index + 1),
            freq_hist_data_bar_heights=[float(one) for one in heights[:shown]],
            freq_hist_data_bar_values=[round(float(one), 3) for one in (edges[1:] + edges[:-1])[:shown] / 2],
        ).to_dict()
        dashboard.pop("activations", None)
        dashboard.pop("feature_index", None)
        common = {"modelId": model, "layer": source, "index": str(index)}
        features.append({**common, "hookName": "blocks.6.hook_resid_pre", "maxActApprox": top, **dashboard})
        lines = []
        for example in examples:
            raw = example.to_dict()
            line = {**common, "tokens": raw["tokens"], "values": raw["values"], "maxValue": max(raw["values"]), "maxValueTokenIndex": 0}
            line |= {"minValue": min(raw["values"]), "binMin": raw["bin_min"], "binMax": raw["bin_max"], "binContains": raw["bin_contains"]}
            lines.append(line)
        activations += lines
        read = [Activation.from_np_db_json({**line, "source": source}) for line in lines]
        read.sort(key=lambda one: -max(one.values))
        expected[index] = {
            "max": top,
            "density": dashboard["frac_nonzero"],
            "bars": sum(dashboard["freq_hist_data_bar_heights"]),
            "examples": [{"tokens": one.tokens, "values": one.values} for one in read],
        }
        said = {
            0: "cats and dogs",
            1: "",
            2: None,
            3: "Unable to produce descriptions",
            4: "مرحبا: greetings in Arabic, and the words around them",
        }
        if index in said:
            line = {
                **common,
                "description": said[index],
                "typeName": "oai_token-act-pair",
                "explanationModelName": "gpt-4o-mini",
                "createdAt": "2026-01-02T03:04:05",
            }
            explanations.append(line)
            expected[index]["explanation"] = Explanation.from_np_db_json({**line, "source": source}).text
    for kind, lines in {"features": features, "explanations": explanations, "activations": activations}.items():
        (out / kind).mkdir(parents=True)
        packed = gzip.compress(b"".join(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for line in lines), mtime=0)
        (out / kind / "batch-0.jsonl.gz").write_bytes(packed)
    return {"model": model, "source": source, "texts": len({tuple(line["tokens"]) for line in activations}), "features": expected}


def main() -> None:
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    expected = {
        "images": image_set(out / "images", 12),
        "paper": paper(out / "paper"),
        "saev": saev(out / "saev"),
        "neuronpedia": neuronpedia(out / "neuronpedia"),
        "delphi": delphi(out / "delphi"),
    }
    (out / "expected.json").write_bytes(orjson.dumps(expected, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY))


main()
