"""The model's words: a word-level tokenizer, the chat template and the processor of stock Transformers."""

from __future__ import annotations

import functools

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import LlavaProcessor, PreTrainedTokenizerFast, SiglipImageProcessorPil

from demo.tasks import Chat, all_words
from demo.world import MODEL_PX

PAD, UNK, BOS, EOS, IMAGE, USER, ASSISTANT = "<pad>", "<unk>", "<s>", "</s>", "<image>", "<user>", "<assistant>"
SPECIALS = (PAD, UNK, BOS, EOS, IMAGE, USER, ASSISTANT)
PATCH_PX = 8
GRID = MODEL_PX // PATCH_PX
IMAGE_TOKENS = GRID * GRID
PREFIX_TOKENS = 2 + IMAGE_TOKENS  # <s> <user> and the image's tokens

# Images first, then the text, whichever order a message lists them in: the model learnt that one order.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}<user>{% elif message['role'] == 'assistant' %}<assistant>"
    "{% else %}{{ raise_exception('only the roles user and assistant are known') }}{% endif %}"
    "{% if message['content'] is string %} {{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %} {{ part['text'] }}{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@functools.cache
def word_ids() -> dict[str, int]:
    """Word (or special token) -> id."""
    return {w: i for i, w in enumerate((*SPECIALS, *all_words()))}


def encode(text: str) -> list[int]:
    """Ids of a text whose words are parted by spaces; a word outside the vocabulary is an error."""
    ids = word_ids()
    return [ids[w] for w in text.split()]


def decode(ids: list[int]) -> str:
    """The words of ids, special tokens left out, parted by single spaces."""
    words = list(word_ids())
    return " ".join(words[i] for i in ids if i >= len(SPECIALS))


def encode_chat(chat: Chat) -> tuple[list[int], list[bool]]:
    """A conversation's ids from the first question on (after the image), and which of them the model has to write."""
    ids: list[int] = []
    own: list[bool] = []
    table = word_ids()
    for turn, (question, answer) in enumerate(chat.turns):
        asked = ([table[USER]] if turn else []) + encode(question) + [table[ASSISTANT]]
        written = [*encode(answer), table[EOS]]
        ids += asked + written
        own += [False] * len(asked) + [True] * len(written)
    return ids, own


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer as stock Transformers and tokenizers.js load it: lower-cased words, punctuation on its own."""
    tokenizer = Tokenizer(models.WordLevel(word_ids(), unk_token=UNK))
    split = [normalizers.Replace(mark, f" {mark} ") for mark in ("?", ",", ".", "!")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *split])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=True,
    )


def build_processor() -> LlavaProcessor:
    """Image processor (bilinear to 96 px, mean and deviation .5), tokenizer and chat template together."""
    images = SiglipImageProcessorPil(
        size={"height": MODEL_PX, "width": MODEL_PX},
        resample=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        do_convert_rgb=True,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=build_tokenizer(),
        patch_size=PATCH_PX,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
    )
