from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from facet_worker.checkpoint import Checkpoint
from facet_worker.conftest import SIZE, TEMPLATE
from facet_worker.errors import FacetError
from facet_worker.prompting import Prompter

IMAGE = np.zeros((SIZE, SIZE, 3), np.uint8)
TEXT_OF = "{% for p in m['content'] %}{{ p['text'] if p['type'] == 'text' else '<image>' }}{% endfor %}"
# As Llama 3, Qwen and their kind do: any role by its name.
NAMED = "{% for m in messages %}[{{ m['role'] }}] " + TEXT_OF + "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
# As Gemma does: instructions go in front of the first question.
FOLDED = (
    "{% if messages[0]['role'] == 'system' %}{% set lead = messages[0]['content'][0]['text'] ~ ' ; ' %}{% set turns = messages[1:] %}"
    "{% else %}{% set lead = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no turn') }}{% endif %}"
    "<user> {{ lead if loop.first else '' }}" + TEXT_OF + "{% endfor %}"
)
STRICT = TEMPLATE.replace(
    "{% for m in messages %}", "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
)
DEAF = "{% for m in messages if m['role'] != 'system' %}<user> " + TEXT_OF + "{% endfor %}"


def told(text: str, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image", "image": {"sha256": "0" * 64}}, {"type": "text", "text": text}]}


@pytest.fixture
def prompter(tiny: Checkpoint, request: pytest.FixtureRequest) -> Any:
    usual = tiny.processor.chat_template
    tiny.processor.chat_template = request.param
    yield Prompter(tiny.processor, tiny.model.config, frozenset({"input_ids", "attention_mask", "pixel_values"}))
    tiny.processor.chat_template = usual


@pytest.mark.parametrize("prompter", [NAMED, FOLDED], indirect=True)
def test_puts_instructions_where_the_template_puts_them(prompter: Prompter) -> None:
    prompt = prompter.assemble([told("a red sun"), user("what is it ?")], [IMAGE], 4)
    plain = prompter.assemble([user("what is it ?")], [IMAGE], 4)
    assert "a red sun" in prompt.text
    assert prompt.text.index("a red sun") < prompt.text.index("what is it ?")
    assert prompt.layout.length > plain.layout.length
    assert prompt.layout.image.sum() == plain.layout.image.sum()


@pytest.mark.parametrize("prompter", [TEMPLATE, STRICT, DEAF], indirect=True)
def test_refuses_instructions_that_the_template_would_drop_or_give_to_somebody_else(prompter: Prompter) -> None:
    with pytest.raises(FacetError, match="no place for a system message") as caught:
        prompter.assemble([told("a red sun"), user("what is it ?")], [IMAGE], 4)
    assert caught.value.code == "invalid_request"
    assert prompter.assemble([user("what is it ?")], [IMAGE], 4).layout.length


@pytest.mark.parametrize("prompter", [NAMED], indirect=True)
@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([told("a")], "nothing to answer"),
        ([user("a"), told("b"), user("a")], "Message 2 is the system's where the assistant's"),
        ([told("a"), told("b", "assistant"), user("a")], "Message 2 is the assistant's where the user's"),
        ([{**user("a"), "role": "system"}, user("a")], "gives an image to the system"),
        ([told("a <image> b"), user("a")], "own markers"),
        ([told(" "), user("a")], "no text"),
    ],
)
def test_refuses_turns_out_of_order(prompter: Prompter, messages: Any, says: str) -> None:
    with pytest.raises(FacetError, match=says):
        prompter.assemble(messages, [IMAGE], 4)
