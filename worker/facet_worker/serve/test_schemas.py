from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facet_worker.errors import FacetError
from facet_worker.serve.schemas import BodySchema
from facet_worker.serve.settings import PROTOCOL

# cli/wire.test.ts holds lib/core's own parser to the same file.
CASES: dict[str, list[Any]] = json.loads((Path(__file__).parent / "fixtures" / "requests.json").read_text("utf-8"))


def test_fills_in_what_the_apps_own_parser_fills_in() -> None:
    schema = BodySchema("generate-request")
    for case in CASES["accepted"]:
        assert schema.parse(case["given"]) == case["filled"]


@pytest.mark.parametrize("body", CASES["refused"], ids=lambda body: json.dumps(body)[:60])
def test_refuses_what_the_apps_own_parser_refuses(body: Any) -> None:
    with pytest.raises(FacetError) as caught:
        BodySchema("generate-request").parse(body)
    assert caught.value.code == "invalid_request"
    assert len(str(caught.value)) < 700


def envelope(**more: Any) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "request": CASES["accepted"][0]["given"], "images": [], "units": {}, **more}


def test_fills_in_the_request_inside_its_envelope_and_names_the_place_of_a_mistake() -> None:
    schema = BodySchema("generate")
    assert schema.parse(envelope())["request"] == CASES["accepted"][0]["filled"]
    whole = schema.parse(envelope(request={**CASES["accepted"][0]["given"], "sampling": {"maxTokens": 5.0}}))
    assert repr(whole["request"]["sampling"]["maxTokens"]) == "5"
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"request": {**CASES["accepted"][0]["given"], "sampling": {"maxTokens": 0}}}, "request.sampling.maxTokens: "),
        ({"units": {"first": 1}}, "units: "),
        ({"units": {"1": -1}}, "units.1: "),
        ({"images": [{"sha256": "0" * 64}]}, "images[0]: "),
        ({"tap": {"force": {"other": [1]}}}, "tap.force: "),
    ]
    for more, place in mistakes:
        with pytest.raises(FacetError, match=place.replace("[", r"\[")):
            schema.parse(envelope(**more))
    text = {"role": "user", "content": [{"type": "text", "text": "half \ud83d a pair"}]}
    parsed = schema.parse(envelope(request={"dictionary": "m/d", "messages": [text]}))
    assert parsed["request"]["messages"][0]["content"][0]["text"] == "half � a pair"


def test_says_which_side_of_another_protocol_is_older() -> None:
    for number, fix in [(0, "Update the app."), (PROTOCOL + 1, "Update the worker.")]:
        with pytest.raises(FacetError) as caught:
            BodySchema("generate").parse(envelope(protocol=number, added="in the future"))
        assert (caught.value.code, caught.value.fix) == ("protocol_mismatch", fix)
    for none in ("1", None, True):
        with pytest.raises(FacetError) as caught:
            BodySchema("generate").parse(envelope(protocol=none))
        assert caught.value.code == "invalid_request"
