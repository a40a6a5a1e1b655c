"""The embedded model's own mistakes about pictures whose truth is known, which features speak for each, and what the model says under clamps.

`bench/mistakes.ts` asks this program, a JSON line at a time, and searches with the same code as the page does:

    python -m demo.mistakes [--emotion 500] [--presence 3000] [--hook model.layers.1] [--work DIR]

Questions are those of the test split, from seeds that nothing else uses, drawn in an art set that neither the model nor the dictionaries were trained on:
in the art that it knows, the model makes next to no mistakes.

first line out   {"asked": {kind: n}, "wrong": {kind: n}, "mistakes": […]}; see `Session._told`
in               {"mistake": i, "arms": [[clamp, …], …]} → [[right, ln p(right answer's word)], …]
                 {"panel": [clamp, …]} → share of the panel's answers that the clamps change
                 {"hint": i} → [right, share of the panel's answers that the same words before them change]
a clamp          {"feature", "op": "scale" | "set", "value", "scope": "image" | "prompt" | "all"}; `set` counts in the feature's own maximum
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from demo.classes import CLASS_BY_NAME
from demo.sprites import EXTRA_STYLES, TRAIN_STYLES
from demo.tasks import WORDINGS, Chat, ask
from demo.world import Scene, render, sample_scene
from facet_worker.checkpoint import Checkpoint, load_checkpoint
from facet_worker.hooks import hook_name
from facet_worker.sae import TopKSae
from facet_worker.split import Blocks, SplitModel, UpperPart

DEMO = Path(__file__).parent
# absent: those presence questions alone whose thing is not there, as the model seldom claims such a thing.
KINDS = ("emotion", "presence", "absent")
FIRST_SEED = {"mistakes": 3_000_000, "panel": 4_000_000}
PANEL_TASKS = ("background", "colour", "count", "place", "presence")
PANEL = 50  # one more that changes is two in a hundred
TOP = 20
PART = 50  # questions that are kept together, so that an ended run goes on
BATCH = 48


@dataclass
class Asked:
    """A question with one word for an answer: ids [T], the state at the hook [T, D], where the image stands, bool [T], and activations [T, L] once asked for."""

    scene: Scene
    chat: Chat
    ids: list[int]
    hidden: Tensor
    image: Tensor
    said: int = -1
    acts: Tensor | None = None

    @property
    def question(self) -> str:
        return self.chat.turns[0][0]

    @property
    def answer(self) -> str:
        return self.chat.turns[0][1]


def collect(task: str, count: int, styles: tuple[str, ...], start: int, answer: str = "") -> list[tuple[Scene, Chat]]:
    """One question a scene of the test split, from a seed on, until there are as many as asked for; `answer`: those alone whose right answer it is."""
    out: list[tuple[Scene, Chat]] = []
    seed = start
    while len(out) < count:
        scene = sample_scene(seed, "test", styles)
        chat = ask(scene, task, np.random.default_rng([seed, 31]))
        if chat is not None and answer in ("", chat.turns[0][1]):
            out.append((scene, chat))
        seed += 1
    return out


def claimed(question: str, said: str) -> str | None:
    """The thing that a wrong answer claims to be there, as labels name it; None where it claims none."""
    if said in CLASS_BY_NAME and CLASS_BY_NAME[said].kind == "face":
        return f"{said} face"
    if said != "yes":
        return None
    for wording in WORDINGS["presence"]:
        before, _, after = wording.partition("{}")
        if question.startswith(before) and question.endswith(after):
            phrase = question[len(before) : len(question) - len(after)].partition(" ")[2]
            if not any(p in phrase for p in ("in the picture",)):
                return phrase
    return None


class Ends:
    """The blocks behind a hook, read at one position a row: the last block works for that position alone."""

    def __init__(self, model: Any, layer: int) -> None:
        self.upper = UpperPart(model, layer)
        self.before = Blocks(model, layer + 1, layer + len(self.upper.blocks))

    def logits(self, hidden: Tensor, ends: Tensor) -> Tensor:
        """hidden [B, T, D], the position to read of each row [B] → logits [B, vocab]."""
        x = self.before(hidden, *self.before.empty(len(hidden)))[0] if len(self.before.blocks) else hidden
        block: Any = self.upper.blocks[-1]
        attention = block.self_attn
        rows, length = torch.arange(len(x)), x.shape[1]
        normed = block.input_layernorm(x)
        one = x[rows, ends][:, None]
        q, k, v = (
            project(part).view(len(x), part.shape[1], -1, self.upper.head_dim).transpose(1, 2)
            for project, part in ((attention.q_proj, normed[rows, ends][:, None]), (attention.k_proj, normed), (attention.v_proj, normed))
        )
        q, k = self._turned(q, ends[:, None]), self._turned(k, torch.arange(length)[None])
        if self.upper.kv_heads != self.upper.heads:
            k, v = (t.repeat_interleave(self.upper.heads // self.upper.kv_heads, 1) for t in (k, v))
        seen = (torch.arange(length)[None] <= ends[:, None])[:, None, None]
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        one = one + attention.o_proj(attended.transpose(1, 2).reshape(len(x), 1, -1))
        one = one + block.mlp(block.post_attention_layernorm(one))
        out: Tensor = self.upper.head(self.upper.norm(one))[:, 0]
        return out

    def _turned(self, t: Tensor, positions: Tensor) -> Tensor:
        angle = positions[..., None].float() * self.upper.inv_freq
        angle = torch.cat([angle, angle], -1)[:, None]
        half = self.upper.head_dim // 2
        return t * (angle.cos() * self.upper.scaling) + torch.cat([-t[..., half:], t[..., :half]], -1) * (angle.sin() * self.upper.scaling)


class Studied:
    """The model cut at a hook, with the hook's dictionary and the labels that ship with it."""

    def __init__(self, hook: str) -> None:
        self.checkpoint: Checkpoint = load_checkpoint(DEMO / "model")
        self.split = SplitModel(self.checkpoint.model, int(hook.rpartition(".")[2]))
        assert hook_name(self.split.layer) == hook
        self.ends = Ends(self.checkpoint.model, self.split.layer)
        self.sae = TopKSae.load(DEMO / "dictionaries" / hook)
        folder = DEMO / "bundle" / hook
        facts = pq.read_table(folder / "features.parquet").to_pylist()
        self.unit = torch.tensor([row["max_activation"] or 0.0 for row in sorted(facts, key=lambda row: int(row["index"]))])
        told = pq.read_table(folder / "explanations.parquet", columns=["index", "label", "preferred"]).to_pylist()
        self.label: dict[int, str] = {row["index"]: row["label"] for row in told if row["preferred"] and row["label"]}
        self.ids: dict[str, int] = self.checkpoint.tokenizer.get_vocab()
        self.words = {index: word for word, index in self.ids.items()}

    @torch.inference_mode()
    def read(self, cases: list[tuple[Scene, Chat]], before: list[tuple[str, str]] | None = None) -> list[Asked]:
        """Each question's states at the hook; `before`: turns of (role, text) that stand in front of it."""
        out = []
        for start in range(0, len(cases), BATCH):
            part = cases[start : start + BATCH]
            drawn = np.stack([self.checkpoint.resize(Image.fromarray(render(scene))) for scene, _ in part])
            images = self.split.vision(self.checkpoint.pixels(drawn))
            asked = [self.checkpoint.ids_of(self.checkpoint.prompt([*(before or []), ("user", chat.turns[0][0])])) for _, chat in part]
            # What is read stands before the padding, which it does not see.
            ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in asked], batch_first=True)
            hidden, _ = self.split.lower(self.split.embed(ids, images), *self.split.lower.empty(len(part)))
            for n, (scene, chat) in enumerate(part):
                length = len(asked[n])
                out.append(Asked(scene, chat, asked[n], hidden[n, :length].clone(), ids[n, :length] == self.split.image_token))
        for one, said in zip(out, self.answers([(one, []) for one in out]).argmax(-1).tolist(), strict=True):
            one.said = said
        return out

    def again(self, cases: list[Asked], before: list[tuple[str, str]]) -> list[Asked]:
        return self.read([(one.scene, one.chat) for one in cases], before)

    def activations(self, one: Asked) -> Tensor:
        if one.acts is None:
            one.acts = self.sae.activations(one.hidden)
        return one.acts

    def clamped(self, one: Asked, clamps: list[dict[str, Any]]) -> Tensor:
        """The question's states under some clamps, each computed from the states as they were."""
        out = one.hidden
        for clamp in clamps:
            where = {"image": one.image, "prompt": ~one.image, "all": torch.ones_like(one.image)}[clamp["scope"]]
            now = self.activations(one)[:, clamp["feature"]]
            then = (
                now * clamp["value"]
                if clamp["op"] == "scale"
                else torch.full_like(now, clamp["value"] * float(self.unit[clamp["feature"]]))
            )
            out = out + torch.where(where, then - now, 0.0)[:, None] * self.sae.w_dec[clamp["feature"]]
        return out

    @torch.inference_mode()
    def answers(self, arms: list[tuple[Asked, list[dict[str, Any]]]]) -> Tensor:
        """ln p of the answer's first word, [arms, vocab]."""
        out: list[Tensor] = []
        for start in range(0, len(arms), BATCH):
            states = [self.clamped(one, clamps) for one, clamps in arms[start : start + BATCH]]
            padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
            out.append(self.ends.logits(padded, torch.tensor([len(state) - 1 for state in states])).log_softmax(-1))
        return torch.cat(out)

    def contributions(self, one: Asked, said: int, right: int) -> tuple[Tensor, Tensor]:
        """a_f · (∂(logit[said] − logit[right])/∂h · W_dec[f]) summed over the image's positions and over the words', each [L]."""
        hidden = one.hidden.clone()[None].requires_grad_()
        with torch.enable_grad():
            logits, _ = self.split.upper(hidden, *self.split.upper.empty(1))
            (logits[0, -1, said] - logits[0, -1, right]).backward()
        assert hidden.grad is not None
        with torch.inference_mode():
            indices, acts = self.sae.encode(one.hidden)
            each = acts * torch.einsum("td,tkd->tk", hidden.grad[0], self.sae.w_dec[indices])
            image, words = torch.zeros(self.sae.num_latents), torch.zeros(self.sae.num_latents)
            image.index_add_(0, indices[one.image].reshape(-1), each[one.image].reshape(-1))
            words.index_add_(0, indices[~one.image].reshape(-1), each[~one.image].reshape(-1))
        return image, words


class Session:
    """What was asked, what was wrong, and the answers to whoever searches."""

    def __init__(self, hook: str, questions: Mapping[str, int], kept: Path) -> None:
        self.studied = Studied(hook)
        self.hints: dict[str, float] = {}
        self.mistakes: list[dict[str, Any]] = []
        self.asked: dict[str, int] = {}
        self.wrong: dict[str, int] = {}
        self._read: dict[int, Asked] = {}
        self._panel: list[Asked] = []
        kept.mkdir(parents=True, exist_ok=True)
        for number, kind in enumerate(KINDS):
            wrong: list[dict[str, Any]] = []
            for part in range(questions[kind] // PART):
                file = kept / f"{kind}-{hook}-{part}.json"
                if not file.is_file():
                    start = FIRST_SEED["mistakes"] + number * 100_000 + part * 1_000
                    made = json.dumps(self._collected(kind, start))
                    file.write_text(made)
                wrong += json.loads(file.read_text())
            self.asked[kind], self.wrong[kind] = questions[kind] // PART * PART, len(wrong)
            self.mistakes += wrong

    def _collected(self, kind: str, start: int) -> list[dict[str, Any]]:
        task, answer = ("presence", "no") if kind == "absent" else (kind, "")
        read = self.studied.read(collect(task, PART, EXTRA_STYLES, start, answer))
        return [self._told(task, one) for one in read if self.studied.words[one.said] != one.answer]

    def _told(self, kind: str, one: Asked) -> dict[str, Any]:
        """A mistake with its twenty features of the largest contributions, and twenty others that are active, drawn at random."""
        studied = self.studied
        said = studied.words[one.said]
        thing = claimed(one.question, said) or ""
        image, words = studied.contributions(one, one.said, studied.ids[one.answer])
        whole = image + words
        active = [f for f in whole.abs().argsort(descending=True).tolist() if float(whole[f]) != 0.0]
        rest = active[TOP:]
        drawn = np.random.default_rng([one.scene.seed, 37]).choice(len(rest), min(TOP, len(rest)), replace=False).tolist()
        about = {f for f, label in studied.label.items() if thing and self._names(label, thing)}

        def row(f: int) -> dict[str, Any]:
            return {
                "feature": f, "label": studied.label.get(f), "contribution": float(whole[f]), "image": float(image[f]),
                "text": float(words[f]), "names": f in about,
            }  # fmt: skip

        return {
            "kind": kind, "seed": one.scene.seed, "objects": len(one.scene.objects), "question": one.question, "said": said,
            "right": one.answer, "thing": thing, "labelled": len(about), "active": len(active), "top": [row(f) for f in active[:TOP]],
            "random": [row(rest[i]) for i in drawn],
        }  # fmt: skip

    def case(self, number: int) -> Asked:
        """A mistake's question, read once."""
        if number not in self._read:
            kept = self.mistakes[number]
            (found,) = self.studied.read(collect(kept["kind"], 1, EXTRA_STYLES, kept["seed"]))
            assert found.question == kept["question"]
            self._read[number] = found
        return self._read[number]

    @property
    def panel(self) -> list[Asked]:
        """Other questions, a fifth of each task, about other pictures in the art that the model knows."""
        if not self._panel:
            cases = [
                case
                for number, task in enumerate(PANEL_TASKS)
                for case in collect(task, PANEL // len(PANEL_TASKS), TRAIN_STYLES, FIRST_SEED["panel"] + number * 100_000)
            ]
            self._panel = self.studied.read(cases)
        return self._panel

    @staticmethod
    def _names(label: str, thing: str) -> bool:
        """Whether a label names the thing itself, a shape's too where it names it in any colour, a sign's where it names signs."""
        last = thing.split()[-1]
        shape = last in CLASS_BY_NAME and CLASS_BY_NAME[last].kind == "shape"
        return label == thing or (shape and label == f"{last} of any colour") or (thing == "sign" and label == "signs with a word")

    def tried(self, number: int, arms: list[list[dict[str, Any]]]) -> list[list[Any]]:
        one = self.case(number)
        right = self.studied.ids[one.answer]
        read = self.studied.answers([(one, clamps) for clamps in arms])
        return [[bool(row.argmax() == right), float(row[right])] for row in read]

    def harm(self, clamps: list[dict[str, Any]]) -> float:
        said = self.studied.answers([(one, clamps) for one in self.panel]).argmax(-1).tolist()
        return sum(now != one.said for now, one in zip(said, self.panel, strict=True)) / len(self.panel)

    def hinted(self, number: int) -> list[Any]:
        """Asked behind the same question in another wording, as the model answers it right: words only, no feature is touched."""
        kind, one = self.mistakes[number]["kind"], self.case(number)
        wordings = WORDINGS[kind]
        if kind == "emotion":
            first = next(w for w in wordings if w != one.question)
        else:
            subject = next(
                one.question[len(b) : len(one.question) - len(a)] for b, _, a in (w.partition("{}") for w in reversed(wordings))
                if one.question.startswith(b) and one.question.endswith(a)
            )  # fmt: skip
            first = next(w.format(subject) for w in wordings if w.format(subject) != one.question)
        before = [("user", first), ("assistant", one.answer)]
        (again,) = self.studied.again([one], before)
        key = f"{first} {one.answer}"
        if key not in self.hints:
            panel = self.studied.again(self.panel, before)
            self.hints[key] = sum(now.said != was.said for now, was in zip(panel, self.panel, strict=True)) / len(panel)
        return [self.studied.words[again.said] == one.answer, self.hints[key]]


def main(argv: list[str] | None = None) -> None:
    """Collect, tell, and answer until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m demo.mistakes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--emotion", type=int, default=500, help="questions about a face's feeling, in fifties")
    parser.add_argument("--presence", type=int, default=3_000, help="questions whether a thing is there, in fifties")
    parser.add_argument("--absent", type=int, default=3_000, help="more of those about things that are not there, in fifties")
    parser.add_argument("--hook", default="model.layers.1")
    parser.add_argument("--work", type=Path, default=Path(".facet/mistakes"), help="keeps what was collected")
    options = parser.parse_args(argv)
    session = Session(options.hook, {kind: getattr(options, kind) for kind in KINDS}, options.work)
    say({"asked": session.asked, "wrong": session.wrong, "mistakes": session.mistakes})
    for line in sys.stdin:
        wish = json.loads(line)
        if "arms" in wish:
            say(session.tried(wish["mistake"], wish["arms"]))
        elif "panel" in wish:
            say(session.harm(wish["panel"]))
        else:
            say(session.hinted(wish["hint"]))


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
