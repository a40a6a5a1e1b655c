"""Chat messages → the model's inputs and where its images lie, through the processor's own template; and what tokens mean as text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import TemplateError
from PIL import Image

from facet_worker.engine import Pixels
from facet_worker.errors import FacetError
from facet_worker.families.grids import Inputs, adapter_of, dynamic, padded
from facet_worker.planning import Layout

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Prompt:
    """`text` as written, one marker an image; `inputs` the model's tensors, a batch of one; `unknown` words that the model has no token for."""

    text: str
    inputs: dict[str, Any]
    layout: Layout
    unknown: list[str]


def _words(message: Mapping[str, Any]) -> str:
    return " ".join(part["text"] for part in message["content"] if part["type"] == "text")


def image_hashes(messages: Messages) -> list[str]:
    """SHA-256 of each picture's file, in the order in which the messages name them."""
    refs = [part["image"] for message in messages for part in message["content"] if part["type"] == "image"]
    return [
        ref["sha256"] if "sha256" in ref else hashlib.sha256(base64.b64decode(ref["dataUrl"].partition(",")[2])).hexdigest() for ref in refs
    ]


class TextCodec:
    """A Hugging Face tokenizer as the engine uses it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.markers = {i: str(token) for i, token in tokenizer.added_tokens_decoder.items() if token.special}

    def decode(self, ids: Sequence[int]) -> str:
        """Text without markers."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _settled(self, ids: Sequence[int]) -> str:
        return self.decode(ids).rstrip("\ufffd") if ids else ""

    def added(self, ids: Sequence[int], token: int) -> str:
        """What `token` adds to the text of `ids`, with its leading space; empty while a character is incomplete."""
        # The last few tokens decide; decoding all of them each time would be quadratic.
        tail = list(ids[-8:])
        before, after = self._settled(tail), self._settled([*tail, token])
        return after[len(before) :] if after.startswith(before) else ""

    def shown(self, ids: Sequence[int], token: int) -> str:
        """An alternative's text; markers, which add nothing to the text, by their own name."""
        return self.markers.get(token) or self.added(ids, token)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def unknown_words(self, text: str) -> list[str]:
        """Words that the model has no token for, each once."""
        unknown = self.tokenizer.unk_token_id
        words = dict.fromkeys(re.findall(r"\w+(?:['’-]\w+)*", text))
        return [] if unknown is None else [word for word in words if unknown in self._encode(word)]

    def watched(self, words: Sequence[str]) -> list[dict[str, Any]]:
        """The tokens that each watched word can begin with. Throws `word_unknown`."""
        out = []
        for word in words:
            alone, spaced = self._encode(word), self._encode(f" {word}")
            while len(spaced) > 1 and not self.decode(spaced[:1]).strip() and spaced[0] not in self.markers:
                spaced = spaced[1:]
            spellings = [ids for ids in (alone, spaced) if ids and self.tokenizer.unk_token_id not in ids]
            if not spellings:
                raise FacetError(f"The model has no token for “{word}”, so its probability cannot be watched.", "word_unknown")
            firsts = list(dict.fromkeys(ids[0] for ids in spellings))
            out.append({"word": word, "ids": firsts, "whole": all(len(ids) == 1 for ids in spellings)})
        return out


def _refuse_bad_turns(messages: Messages, codec: TextCodec) -> None:
    # A chat client's instructions come before the first turn; the wire contract's own requests have none.
    before = 1 if messages[0]["role"] == "system" else 0
    for i, message in enumerate(messages):
        due = "system" if i < before else "user" if (i - before) % 2 == 0 else "assistant"
        if message["role"] != due:
            raise FacetError(
                f"Message {i + 1} is the {message['role']}'s where the {due}'s turn is due.",
                "invalid_request",
                fix="Let user and assistant take turns, beginning with the user.",
            )
        if due != "user" and any(part["type"] == "image" for part in message["content"]):
            raise FacetError(f"Message {i + 1} gives an image to the {due}.", "invalid_request", fix="Put images into the user's messages.")
        words = _words(message)
        marker = next((marker for marker in codec.markers.values() if marker in words), None)
        if marker:
            raise FacetError(
                f"Message {i + 1} contains {marker}, which is one of the model's own markers.",
                "invalid_request",
                fix="Write it differently; images are given as parts of a message.",
            )
        if not words.strip():
            raise FacetError(f"Message {i + 1} has no text.", "prompt_empty")
    if messages[-1]["role"] != "user":
        raise FacetError(
            f"The last message is the {messages[-1]['role']}'s, so there is nothing to answer.",
            "invalid_request",
            fix="End with a user's message.",
        )


class Prompter:
    """Builds a model's prompts; `accepted` are the names of the inputs that its forward pass takes."""

    def __init__(self, processor: Any, config: Any, accepted: frozenset[str]) -> None:
        self.processor, self.config, self.accepted = processor, config, accepted
        self.codec = TextCodec(processor.tokenizer)
        self.adapter = adapter_of(config.model_type)
        text = config.get_text_config()
        self.room = int(getattr(text, "max_position_embeddings", None) or 1 << 20)

    def _render(self, messages: Messages, answer: bool) -> str:
        if getattr(self.processor, "chat_template", None) is None and getattr(self.processor.tokenizer, "chat_template", None) is None:
            return self._plain(messages)
        if messages[0]["role"] == "system":
            self._refuse_lost_instructions(messages)
        return self._templated(messages, answer)

    def _templated(self, messages: Messages, answer: bool) -> str:
        turns = []
        for message in messages:
            parts = [{"type": "text", "text": part["text"]} if part["type"] == "text" else {"type": "image"} for part in message["content"]]
            turns.append({"role": message["role"], "content": [part for part in parts if part["type"] == "image" or part["text"].strip()]})
        return str(self.processor.apply_chat_template(turns, add_generation_prompt=answer, tokenize=False))

    def _refuse_lost_instructions(self, messages: Messages) -> None:
        """A template that knows no system role raises, leaves the words out, or writes them as if somebody else had said them."""
        probe = "instructions-7c1f"

        def rendered(role: str) -> str:
            try:
                return self._templated([{"role": role, "content": [{"type": "text", "text": probe}]}, *messages[1:]], True)
            except (TemplateError, TypeError, ValueError):
                return ""

        own, users, assistants = rendered("system"), rendered("user"), rendered("assistant")
        # In front of the first question is a fair place for instructions; the assistant's own voice is not.
        if probe not in own or own == users or own.partition(probe)[0] == assistants.partition(probe)[0]:
            raise FacetError(
                "This model's chat template has no place for a system message.",
                "invalid_request",
                fix="Say it in the first user's message.",
            )

    def _plain(self, messages: Messages) -> str:
        """Models that were trained for one question, without a template, as PaliGemma is: its images and its words."""
        if len(messages) > 1:
            raise FacetError(
                "This model has no chat template, so it answers one message only.", "invalid_request", fix="Send a single message."
            )
        count = sum(part["type"] == "image" for part in messages[0]["content"])
        marker = self.processor.tokenizer.convert_ids_to_tokens(Inputs(np.zeros(0, np.int64), {}, self.config, None, 0).image_token)
        return marker * count + _words(messages[0])

    def _lay_out(self, text: str, images: Sequence[Pixels]) -> Prompt:
        bos = self.processor.tokenizer.bos_token
        pictures = [Image.fromarray(image) for image in images]
        special = {"add_special_tokens": False} if bos and text.startswith(bos) else {}
        try:
            tensors = dict(self.processor(text=[text], **({"images": [pictures]} if pictures else {}), return_tensors="pt", **special))
        except ValueError as error:
            # A picture that is too narrow for Qwen-VL, PaliGemma without one.
            raise FacetError(
                f"This model's processor takes no such prompt: {str(error).rstrip('.')}.",
                "invalid_request",
                fix="Give as many images as this model takes, of a usual shape.",
            ) from error
        ids = tensors["input_ids"][0].numpy()
        inputs = Inputs(ids, tensors, self.config, self.processor, len(images))
        grids = self.adapter(inputs) if images else []
        on_image = ids == inputs.image_token
        covered = np.zeros(len(ids), np.bool_)
        for grid in grids:
            covered[grid.cells] = covered[grid.extra] = True
        if not np.array_equal(on_image, covered):
            raise FacetError("The images' grids do not cover the prompt's image tokens.", "engine_failed")
        sink = np.arange(len(ids)) == 0
        layout = Layout(len(ids), tuple(grids), covered, np.isin(ids, list(self.codec.markers)) & ~covered, sink)
        # PaliGemma's processor adds what training would compare with.
        taken = self.accepted - {"labels"}
        return Prompt(text, {name: value for name, value in tensors.items() if name in taken}, layout, [])

    def assemble(self, messages: Messages, images: Sequence[Pixels], max_tokens: int) -> Prompt:
        """A conversation's prompt. Throws `prompt_empty`, `prompt_too_long` or `invalid_request`."""
        _refuse_bad_turns(messages, self.codec)
        prompt = self._lay_out(self._render(messages, True), images)
        if prompt.layout.length + max_tokens > self.room:
            raise FacetError(
                f"The prompt takes {prompt.layout.length} positions and the answer up to {max_tokens}; "
                f"the model has room for {self.room} in all.",
                "prompt_too_long",
            )
        prompt.unknown.extend(self.codec.unknown_words(" ".join(_words(message) for message in messages)))
        return prompt

    def least_positions(self, sizes: Sequence[tuple[int, int]], base: int) -> int:
        """At the least how many positions pictures of these heights and widths, as stored, take; `base`: cells of the grid that a square picture has."""
        each = 1 if self.adapter is dynamic else base
        counts = getattr(self.processor, "_get_num_multimodal_tokens", None)
        # LLaVA-OneVision counts every image as if it were the only one.
        if not sizes or counts is None or (len(sizes) > 1 and self.adapter is padded):
            return each * len(sizes)
        try:
            # A photograph may be stored on its side.
            both = [list(counts(image_sizes=turned)["num_image_tokens"]) for turned in (sizes, [(w, h) for h, w in sizes])]
        except Exception:
            # Not every processor has what it counts by; what it refuses is refused with its own words later.
            return each * len(sizes)
        return sum(min(one, other) for one, other in zip(*both, strict=True))

    def of_image(self, image: Pixels) -> Prompt:
        """An image and nothing else, as features are looked for."""
        return self._lay_out(self._render([{"role": "user", "content": [{"type": "image"}]}], False), [image])
