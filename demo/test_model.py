"""The written-out forward pass is the stock one; the stock classes load, run and answer."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from demo.batches import IGNORE, pack
from demo.generate import greedy, history_ids, load_params, pixel_tensor
from demo.model import block_mask, build_model, logits, packed_forward, project, save_checkpoint, tower_forward, trainable
from demo.optim import Adam, SharedMuon, orthogonalise
from demo.tasks import Chat
from demo.vocab import EOS, IMAGE_TOKENS, PREFIX_TOKENS, encode, encode_chat, word_ids

CHATS = [
    Chat("presence", (("is there a dog ?", "yes"),)),
    Chat("chat", (("what is in the middle ?", "a cat"), ("and what is to its left ?", "a dog"))),
    Chat("name", (("what is this ?", "an apple"),)),
]


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 255, (384, 384, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "checkpoint"
    save_checkpoint(trainable(build_model(3)), path)
    return path


@pytest.fixture(scope="module")
def stock(folder):
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval(), AutoProcessor.from_pretrained(folder)


def test_checkpoint_is_stock_and_about_six_million_weights(folder, stock):
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["LlavaForConditionalGeneration"]
    assert 5.5e6 < sum(p.numel() for p in stock[0].parameters()) < 7e6
    assert (folder / "model.safetensors").stat().st_size < 14e6


def test_stock_processor_makes_our_pixels_and_our_ids(stock, picture):
    _, processor = stock
    talk = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image"}]}]
    text = processor.apply_chat_template(talk, add_generation_prompt=True)
    made = processor(images=Image.fromarray(picture), text=text, return_tensors="pt")
    assert torch.equal(made["pixel_values"], pixel_tensor([picture])) or (made["pixel_values"] - pixel_tensor([picture])).abs().max() < 1e-6
    assert made["input_ids"].shape[1] == PREFIX_TOKENS + len(history_ids([], "what is this ?"))
    assert made["input_ids"][0, PREFIX_TOKENS:].tolist() == history_ids([], "what is this ?")
    assert (made["input_ids"] == word_ids()["<image>"]).sum() == IMAGE_TOKENS


def test_packed_forward_equals_the_stock_forward(folder, stock, picture):
    model, _ = stock
    p = load_params(folder)
    ids, pos, segments, _, _ = (torch.from_numpy(x)[None] for x in pack(CHATS, 48))
    pixels = pixel_tensor([picture])
    with torch.no_grad():
        normed, tapped = packed_forward(p, project(p, tower_forward(p, pixels)), ids, pos, block_mask(segments))
        ours = logits(p, normed)[0]
        for number, chat in enumerate(CHATS):
            words, _ = encode_chat(chat)
            lead = [word_ids()["<s>"], word_ids()["<user>"], *[word_ids()["<image>"]] * IMAGE_TOKENS]
            out = model(input_ids=torch.tensor([lead + words]), pixel_values=pixels, output_hidden_states=True)
            assert torch.allclose(ours[segments[0] == number], out.logits[0, PREFIX_TOKENS:], atol=1e-4)
            assert torch.allclose(tapped[0], out.hidden_states[2][0, 2:PREFIX_TOKENS], atol=1e-4)


def test_our_greedy_answers_are_the_stock_ones(folder, stock, picture):
    model, processor = stock
    questions = ["what is this ?", "is there a dog ?", "how many things are there ?"]
    ours = greedy(load_params(folder), pixel_tensor([picture]), [0, 0, 0], [history_ids([], q) for q in questions], max_new=6)
    for question, answer in zip(questions, ours, strict=True):
        talk = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        text = processor.apply_chat_template(talk, add_generation_prompt=True)
        made = processor(images=Image.fromarray(picture), text=text, return_tensors="pt")
        out = model.generate(**made, max_new_tokens=6, do_sample=False)[0, made["input_ids"].shape[1] :]
        words = list(word_ids())
        assert " ".join(words[i] for i in out.tolist() if i > 6) == answer


def test_packing_asks_for_the_answers_alone():
    ids, pos, segments, labels, weights = pack(CHATS, 48)
    assert pos[0] == PREFIX_TOKENS
    assert all(pos[segments == n][0] == PREFIX_TOKENS for n in range(3))
    asked = labels[segments == 1]
    assert asked[asked != IGNORE].tolist() == [*encode("a cat"), word_ids()[EOS], *encode("a dog"), word_ids()[EOS]]
    assert ((weights > 0) == (labels != IGNORE)).all()
    assert (ids[segments == -1] == 0).all()


def test_orthogonalise_evens_out_the_singular_values():
    s = torch.linalg.svdvals(orthogonalise(torch.randn(2, 24, 40, generator=torch.Generator().manual_seed(0))))
    assert s.min() > 0.3
    assert s.max() < 1.4


def test_the_optimisers_go_downhill():
    p = {"a": torch.randn(8, 12, generator=torch.Generator().manual_seed(0)), "b": torch.ones(5)}
    start = float(sum(t.square().sum() for t in p.values()))
    muon, adam = SharedMuon({"a": p["a"]}, 0, 1), Adam({"b": p["b"]})
    for _ in range(60):
        muon.step({"a": p["a"]}, {"a": 2 * p["a"]}, {"a": 0.05})
        adam.step({"b": p["b"]}, {"b": 2 * p["b"]}, {"b": 0.02})
    assert float(sum(t.square().sum() for t in p.values())) < 0.5 * start
