"""The body of `POST /v1/chat/completions` → a `GenerateRequest`, its pictures and its units. Pure: nothing is read or fetched."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from facet_worker.errors import FacetError

MAX_TOKENS = 256
"""The wire contract's bound for one answer, and the usual length here: chat clients expect an answer to end by itself."""


class ChatFieldError(FacetError):
    """A field of the body that cannot be served as it is; `param` names it as OpenAI's errors do."""

    def __init__(self, param: str, message: str, fix: str | None = None) -> None:
        super().__init__(message, "invalid_request", fix=fix)
        self.param = param


@dataclass(frozen=True)
class ChatRequest:
    """What a body asks for.

    Attributes
    ----------
    request : a `GenerateRequest` whose defaults are not filled in; instructions stand in it as a user's first message, because the wire contract has
        no other place for them: `for_engine` gives them their role back
    images : `{sha256, data}` as the wire contract has them, in the order in which the messages name them
    units : a feature's maximum, by its index as text
    stop : texts before which the answer ends
    """

    request: dict[str, Any]
    instructed: bool
    images: tuple[dict[str, str], ...]
    units: dict[str, float]
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool
    logprobs: bool

    def for_engine(self, validated: dict[str, Any]) -> dict[str, Any]:
        """The request as engines take it, from what the wire contract's schema made of `request`."""
        if not self.instructed:
            return validated
        first, *others = validated["messages"]
        return {**validated, "messages": [{**first, "role": "system"}, *others]}


class _Text(BaseModel):
    type: Literal["text"]
    text: StrictStr


class _Url(BaseModel):
    url: StrictStr


class _Picture(BaseModel):
    type: Literal["image_url"]
    image_url: Annotated[_Url, BeforeValidator(lambda value: {"url": value} if isinstance(value, str) else value)]


_Part = Annotated[_Text | _Picture, Field(discriminator="type")]


class _Message(BaseModel):
    # Clients send an assistant's message back with everything that it came with.
    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        list[_Part],
        Field(min_length=1),
        BeforeValidator(lambda value: [{"type": "text", "text": value}] if isinstance(value, str) else value),
    ]


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")
    include_usage: StrictBool | None = None


_Count = Annotated[StrictInt, Field(ge=1, le=MAX_TOKENS)]
_Stop = Annotated[StrictStr, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")
    model: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", max_length=200)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: StrictBool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=5, strict=True)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=0xFFFF_FFFF)] | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stop: Annotated[
        list[_Stop] | None, Field(max_length=4), BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
    ] = None
    n: Annotated[StrictInt, Field(ge=1, le=1)] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=10)] | None = None
    # Ours. Their insides are the wire contract's, whose schema refuses what is wrong in them.
    interventions: list[dict[str, Any]] | None = None
    mode: Any = None
    controls: Any = None
    version: Any = None
    units: (
        dict[Annotated[StrictStr, Field(pattern=r"^\d{1,9}$")], Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]] | None
    ) = None


_IGNORED = frozenset({
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls",
})  # fmt: skip
"""Fields that name or file a request and cannot change its answer."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "reasoning_effort": ("none",),
}
"""Fields that may be there as long as they ask for nothing; null, false and what is empty never does."""


def _refuse_unserved(body: _Body) -> None:
    for name, value in (body.model_extra or {}).items():
        if name in _IGNORED or value is None or value is False or value in ([], {}, "") or value in _NEUTRAL.get(name, ()):
            continue
        raise ChatFieldError(
            name,
            f"The field {name} is not served here, and leaving it out of account would change what was asked for.",
            fix="Leave it out.",
        )
    for i, message in enumerate(body.messages):
        for name, value in (message.model_extra or {}).items():
            if name in ("tool_calls", "function_call", "tool_call_id") and value:
                raise ChatFieldError(f"messages[{i}].{name}", f"Message {i + 1} has {name}, and models are given no tools here.")


def _picture(url: str, param: str, where: str) -> dict[str, str]:
    if not url.startswith("data:"):
        scheme = re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]{0,20}:", url)
        kind = f"an address ({scheme[0]}…)" if scheme else "no data URL"
        raise ChatFieldError(
            param, f"The image of {where} is {kind}; this worker fetches nothing.", fix="Send the picture itself: data:image/png;base64,…"
        )
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise ChatFieldError(
            param, f"The image of {where} is no picture in base64.", fix="Write its data URL as data:image/png;base64,… (or jpeg, webp)."
        )
    try:
        sha256 = hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
    except ValueError:
        raise ChatFieldError(param, f"The base64 of the image of {where} is broken.", fix="Encode the file again.") from None
    return {"sha256": sha256, "data": data}


def _messages(body: _Body) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    messages: list[dict[str, Any]] = []
    images: list[dict[str, str]] = []
    for i, message in enumerate(body.messages):
        parts: list[dict[str, Any]] = []
        for j, part in enumerate(message.content):
            if isinstance(part, _Text):
                parts.append({"type": "text", "text": part.text})
            else:
                images.append(_picture(part.image_url.url, f"messages[{i}].content[{j}].image_url", f"message {i + 1}"))
                parts.append({"type": "image", "image": {"sha256": images[-1]["sha256"]}})
        messages.append({"role": message.role, "content": parts})
    return messages, images


def _instructions_first(messages: list[dict[str, Any]]) -> bool:
    """Whether the conversation begins with instructions, which then stand as the user's. Throws where they come later."""
    at = [i for i, message in enumerate(messages) if message["role"] in ("system", "developer")]
    later = next((i for i in at if i > 0), None)
    if later is not None:
        raise ChatFieldError(f"messages[{later}].role", f"Message {later + 1} holds instructions; they come first, once.")
    for i in at:
        messages[i]["role"] = "user"
    return bool(at)


def _interventions(body: _Body) -> list[dict[str, Any]]:
    """A strength is in raw activation unless the request gives the feature's maximum to measure it by."""
    units = body.units or {}
    out = []
    for i, clamp in enumerate(body.interventions or []):
        known = str(clamp.get("feature")) in units
        clamp = {"unit": "max" if known else "raw", **clamp}
        if clamp["unit"] == "max" and not known and clamp.get("op", "set") in ("set", "add"):
            raise ChatFieldError(
                f"interventions[{i}].unit",
                f"Intervention {i + 1} counts in units of feature {clamp.get('feature')}'s maximum, and a chat's worker knows no catalogue.",
                fix=f'Give it as units: {{"{clamp.get("feature")}": <its maximum activation>}}, or give the value in raw activation.',
            )
        out.append(clamp)
    return out


def _sentence(error: ValidationError) -> ChatFieldError:
    first = error.errors(include_url=False, include_context=False)[0]
    places = [place for place in first["loc"] if place != "[key]"]
    # The kind of a part stands among the places, behind the part's number, and is none.
    if len(places) > 4 and places[2] == "content":
        del places[4]
    param = "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places).lstrip(".")[:200]
    said = re.sub(r" or instance of \w+| after validation", "", first["msg"].rstrip("."))
    return ChatFieldError(param, f"The field {param} is not right: {said[:1].lower()}{said[1:]}.")


def read_chat(body: object, seed: Callable[[], int] = lambda: secrets.randbits(32)) -> ChatRequest:
    """Reads a decoded body.

    Parameters
    ----------
    body : what JSON gave
    seed : draws one where tokens are sampled and the request names none; the receipt says which

    Raises
    ------
    ChatFieldError : `invalid_request`, with the field's name
    """
    if not isinstance(body, dict):
        raise ChatFieldError("", "The body is no JSON object.")
    try:
        chat = _Body.model_validate(body)
    except ValidationError as error:
        raise _sentence(error) from None
    _refuse_unserved(chat)
    messages, images = _messages(chat)
    instructed = _instructions_first(messages)
    if chat.max_tokens is not None and chat.max_completion_tokens not in (None, chat.max_tokens):
        raise ChatFieldError("max_tokens", "The fields max_tokens and max_completion_tokens name two lengths.", fix="Give one of them.")
    if chat.top_logprobs and not chat.logprobs:
        raise ChatFieldError("top_logprobs", "The field top_logprobs is given and logprobs is not true.", fix="Set logprobs to true.")
    temperature = chat.temperature or 0
    drawn = seed() if temperature > 0 and chat.seed is None else 0
    own = {"mode": chat.mode, "controls": chat.controls if chat.controls is not None else [], "version": chat.version}
    request = {
        "dictionary": chat.model,
        "messages": messages,
        "sampling": {
            "maxTokens": chat.max_completion_tokens or chat.max_tokens or MAX_TOKENS,
            "temperature": temperature,
            "topP": chat.top_p or 1,
            "seed": chat.seed if chat.seed is not None else drawn,
        },
        "interventions": _interventions(chat),
        "alternatives": chat.top_logprobs or 0,
        **{name: value for name, value in own.items() if value is not None},
    }
    usage = bool(chat.stream_options and chat.stream_options.include_usage)
    return ChatRequest(
        request, instructed, tuple(images), chat.units or {}, tuple(chat.stop or ()), bool(chat.stream), usage, bool(chat.logprobs)
    )
