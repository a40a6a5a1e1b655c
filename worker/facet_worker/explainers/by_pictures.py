"""Explain by the pictures on which a feature is most active, alone or together with what clamping it made the model say; and refine."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from facet_worker.catalogue import FeatureRecord, Pictures
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.settings import AskFailed
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers import prompts
from facet_worker.explainers.masking import masked
from facet_worker.explainers.outcome import BOTH, TOP_IMAGES, Outcome, explained, failed, now
from facet_worker.explainers.prompts import Unread
from facet_worker.studied import Steered


def shown(record: FeatureRecord, pictures: Pictures, count: int) -> tuple[list[Image.Image], list[str], list[str]]:
    """The top pictures, masked; their hashes; and the hashes of those that cannot be read."""
    out, used, unreadable = [], [], []
    for found in record.top[:count]:
        try:
            out.append(masked(pictures.load(found.image), found.values))
            used.append(found.image)
        except FacetError:
            unreadable.append(found.image)
    return out, used, unreadable


def explain(
    record: FeatureRecord, pictures: Pictures, asker: EndpointAsker, count: int, max_tokens: int, steered: Steered | None = None
) -> Outcome:
    """By the top `count` pictures; with `steered` by both. Throws what `EndpointAsker.ask` does, but for a missing answer."""
    method = TOP_IMAGES if steered is None else BOTH
    author = asker.settings.model
    images, used, unreadable = shown(record, pictures, count)
    evidence = {"images": used, "unreadable": unreadable}
    if steered is None:
        prompt = prompts.TOP_IMAGES.format(count=len(images))
    else:
        answers = prompts.listed([(f"{said.value:g} times its maximum", said.text) for said in steered.with_it])
        prompt = prompts.BOTH.format(count=len(images), plain=prompts.quoted(steered.plain.text), answers=answers)
    if not images:
        cause, why = ("unreadable", "None of its top pictures can be read.") if unreadable else ("no_images", "No picture lights it up.")
        return Outcome(failed(record.index, method, author, prompt, now(), why), cause, evidence=evidence)
    try:
        answer = asker.ask(prompt, images, max_tokens)
    except AskFailed as error:
        return Outcome(failed(record.index, method, author, prompt, now(), f"The endpoint: {error}."), error.cause, evidence=evidence)
    read = prompts.read_explanation(answer.text, answer.finish)
    if isinstance(read, Unread):
        row = failed(record.index, method, author, prompt, answer.created_at, read.sentence)
        return Outcome(row, read.cause, [answer.key], evidence)
    return Outcome(explained(record.index, method, author, prompt, answer.created_at, read), None, [answer.key], evidence)


def refine(found: Explanation, asker: EndpointAsker, model: str | None, max_tokens: int = 64) -> Outcome:
    """The explanation with a short label and a concept class; without them, and with a cause, where the answer cannot be read."""
    assert found.text is not None
    prompt = prompts.REFINE.format(text=found.text)
    row = replace(found, prompt=f"{found.prompt}\n\nLabel by {model or asker.settings.model}: {prompt}")
    try:
        answer = asker.ask(prompt, (), max_tokens, model)
    except AskFailed as error:
        return Outcome(row, error.cause, evidence={"failure": f"The endpoint: {error}."})
    read = prompts.read_refinement(answer.text, answer.finish)
    if isinstance(read, Unread):
        return Outcome(row, read.cause, [answer.key], {"failure": read.sentence})
    return Outcome(replace(row, label=read[0], concept=read[1]), None, [answer.key])
