"""Whole runs against a real server: what comes of every kind of answer, resuming, retrying, and a cost limit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from facet_worker.catalogue import Catalogue
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.false_endpoint import FalseEndpoint, good, question, serving
from facet_worker.endpoint.settings import EndpointSettings, Prices
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.explainers.outcome import BOTH, CAUSAL, TOP_IMAGES
from facet_worker.explainers.run import ExplainReport, ExplainRun, ExplainSettings
from facet_worker.small_bundle import SILENT, write_small_bundle
from facet_worker.studied import Said, Steered, SteerJob, StudiedModel

LABEL = "[LABEL]: red things\n[CONCEPT]: colour"


def refines(body: dict[str, Any]) -> bool:
    return "[LABEL]" in question(body)


class Model(StudiedModel):
    """A model whose clamped answers are known; that a real one gives such answers is tested beside the explainers."""

    def __init__(self) -> None:
        self.name, self.batch, self.jobs = "studied", 2, list[SteerJob]()

    def steered(self, jobs: Sequence[SteerJob]) -> list[Steered | FacetError]:
        self.jobs += jobs
        out: list[Steered | FacetError] = []
        for job in jobs:
            said = f"a thing{job.feature} in grey"
            out.append(
                FacetError("The clamps drove the model's numbers out of range.", "engine_failed")
                if job.feature == 2
                else Steered(Said(None, "all grey", "stop", True), tuple(Said(v, said, "stop", True) for v in job.values))
            )
        return out


@contextmanager
def running(
    folder: Path, url: str, settings: ExplainSettings | None = None, model: StudiedModel | None = None, **more: Any
) -> Iterator[ExplainRun]:
    store = Store(folder / "run")
    asker = EndpointAsker(EndpointSettings(url, "explainer", **{"first_wait_s": 0.01, "timeout_s": 0.5, "attempts": 2, **more}), store)
    try:
        yield ExplainRun(Catalogue(folder / "bundle"), settings or ExplainSettings((TOP_IMAGES,)), store, asker, model)
    finally:
        asker.close()
        store.close()


def go(
    folder: Path, endpoint: FalseEndpoint, *args: Any, retry_failed: bool = False, **more: Any
) -> tuple[list[Explanation], ExplainReport]:
    with running(folder, endpoint.url, *args, **more) as run:
        return run.run(retry_failed=retry_failed)


def test_explains_labels_and_says_by_whom(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle", broken=[6])
    with serving(lambda body, _: LABEL if refines(body) else "Red. [EXPLANATION]: Red things.") as endpoint:
        rows, report = go(tmp_path, endpoint)
        # One set of pictures a feature; the three refiners' questions are the same, so it is one.
        assert len(endpoint.bodies) == 3 + 1
        pictures = [len(body["messages"][0]["content"]) - 1 for body in endpoint.bodies if not refines(body)]
        assert sorted(pictures) == [4, 5, 5]
    assert report.to_json() == {
        "features": 4, "methods": {TOP_IMAGES: {"explained": 3, "failed": {"no_images": 1}, "left": 0}}, "labelled": 3, "label_failures": {},
        "unreadable_images": 1, "stopped": None, "endpoint": {"sent": 4, "answered": 4, "stored": 2, "failed_attempts": {}},
    } or report.to_json()["endpoint"]["stored"] in (0, 1, 2)  # fmt: skip
    first = rows[0]
    assert (first.index, first.method, first.author, first.text, first.label, first.concept, first.preferred) == (
        0, TOP_IMAGES, "explainer", "Red things.", "red things", "colour", True,
    )  # fmt: skip
    assert first.prompt is not None
    assert "Above are the 5 pictures" in first.prompt
    assert "Label by explainer: Somebody explained" in first.prompt
    assert first.created_at.startswith("20")
    assert (rows[3].index, rows[3].text, rows[3].failure, rows[3].preferred) == (SILENT, None, "No picture lights it up.", False)


@pytest.mark.parametrize(
    ("bad", "cause", "said"),
    [
        ((429, {}, b"slow down"), "rate_limited", "429"),
        ((500, {}, b"cuda"), "server_error", "cuda"),
        ((200, {"content-type": "text/html"}, b"<html>hi</html>"), "html", "web page"),
        ((200, {}, b""), "empty", "sent nothing"),
        ((200, {}, good("x")[2][:30]), "broken_json", "no JSON"),
        (1.0, "timeout", "in time"),
        ("I think it is red.", "off_format", "“I think it is red.”"),
        (good("[EXPLANATION]: Red th", "length"), "cut_off", "cut off"),
        ("[EXPLANATION]: Unable to produce descriptions", "unable", "unable"),
    ],
)
def test_every_bad_answer_is_one_features_recorded_failure_and_is_asked_again_on_request(
    tmp_path: Path, bad: Any, cause: str, said: str
) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda _, n: bad) as endpoint:
        shown: list[Any] = []

        def behave(body: dict[str, Any], _: int) -> Any:
            if refines(body):
                return LABEL
            first = body["messages"][0]["content"][0]["image_url"]["url"]
            if first not in shown:
                shown.append(first)
            return bad if first == shown[0] else "[EXPLANATION]: Things."

        endpoint.behaviour = behave
        rows, report = go(tmp_path, endpoint)
        assert report.failed[TOP_IMAGES] == {cause: 1, "no_images": 1}
        assert report.explained[TOP_IMAGES] == 2
        failed = next(row for row in rows if row.text is None and row.index != SILENT)
        assert said in str(failed.failure)
        assert (failed.label, failed.concept, failed.preferred) == (None, None, False)
        asked = len(endpoint.bodies)
        assert go(tmp_path, endpoint)[0] == rows
        assert len(endpoint.bodies) == asked

        endpoint.behaviour = lambda body, _: LABEL if refines(body) else "[EXPLANATION]: Mended."
        rows, report = go(tmp_path, endpoint, retry_failed=True)
        assert [row.text for row in rows if row.index != SILENT].count("Mended.") == 1
        assert report.explained[TOP_IMAGES] == 3
        # One explanation and its label.
        assert len(endpoint.bodies) == asked + 2


def test_a_label_that_cannot_be_read_leaves_the_explanation_without_one(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda body, _: "red, a colour" if refines(body) else "[EXPLANATION]: Red things.") as endpoint:
        rows, report = go(tmp_path, endpoint)
        assert report.label_failures == {"off_format": 3}
        assert [(row.text, row.label, row.concept, row.failure, row.preferred) for row in rows[:3]] == [
            ("Red things.", None, None, None, True)
        ] * 3
        endpoint.behaviour = lambda body, _: LABEL
        rows, report = go(tmp_path, endpoint, retry_failed=True)
        assert (report.labelled, report.label_failures) == (3, {})
        assert rows[0].label == "red things"


def test_all_three_explainers_and_which_is_preferred(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")

    def behave(body: dict[str, Any], _: int) -> str:
        said = question(body)
        if refines(body):
            return f"[LABEL]: {'both' if 'Both' in said else 'other'}\n[CONCEPT]: object"
        return "[EXPLANATION]: Both." if "switched on by hand" in said else "[EXPLANATION]: Pictures."

    model = Model()
    with serving(behave) as endpoint:
        rows, report = go(tmp_path, endpoint, ExplainSettings(), model)
        asked = len(endpoint.bodies)
        both = next(question(body) for body in endpoint.bodies if "a thing1" in question(body) and not refines(body))
        assert "Without the unit it answered: “all grey”" in both
        assert "- 2 times its maximum: “a thing1 in grey”" in both
        assert len(model.jobs) == 4
        go(tmp_path, endpoint, ExplainSettings(), model)
        assert (len(model.jobs), len(endpoint.bodies)) == (4, asked)
    texts = {(row.index, row.method): row.text for row in rows}
    assert texts[0, BOTH] == "Both."
    assert texts[0, TOP_IMAGES] == "Pictures."
    assert texts[1, CAUSAL] == "a thing1 in grey"
    assert (texts[2, CAUSAL], texts[2, BOTH]) == (None, None)
    assert texts[SILENT, CAUSAL] == f"a thing{SILENT} in grey"
    assert report.failed == {BOTH: {"engine": 1, "no_images": 1}, TOP_IMAGES: {"no_images": 1}, CAUSAL: {"engine": 1}}
    assert [(row.index, row.method) for row in rows if row.preferred] == [(0, BOTH), (1, BOTH), (2, TOP_IMAGES), (SILENT, CAUSAL)]
    causal = next(row for row in rows if row.method == CAUSAL and row.index == 1)
    assert causal.author == "studied"
    assert causal.label == "other"
    assert "set on all of it to 1, 2, 4, 8 times its maximum" in str(causal.prompt)


def test_the_cost_limit_stops_says_what_is_left_and_goes_on_with_more(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    settings = ExplainSettings((TOP_IMAGES,), max_tokens=10, refine=False)
    # A request may cost 5 · 10 + some 700 + 10 tokens and does cost 110.
    money: dict[str, Any] = {"prices": Prices(1000, 1000), "image_tokens": 10, "concurrency": 1}
    with serving(lambda *_: "[EXPLANATION]: Red things.") as endpoint:
        rows, report = go(tmp_path, endpoint, settings, cost_limit=0.8, **money)
        assert 0 < len(endpoint.bodies) < 3
        assert report.left[TOP_IMAGES] == 4 - len(endpoint.bodies)
        assert "The cost limit leaves" in str(report.stopped)
        assert report.endpoint is not None
        assert report.endpoint["left"] == pytest.approx(0.8 - 0.11 * len(endpoint.bodies))
        assert len(rows) == len(endpoint.bodies)
        rows, report = go(tmp_path, endpoint, settings, cost_limit=9.0, **money)
        assert (len(endpoint.bodies), len(rows), report.stopped) == (3, 4, None)


def test_a_run_with_other_settings_or_without_somebody_to_ask_is_refused(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda *_: LABEL) as endpoint:
        go(tmp_path, endpoint)
        with pytest.raises(FacetError, match="another configuration: pictures differ"):
            go(tmp_path, endpoint, ExplainSettings((TOP_IMAGES,), pictures=3))
        for method in (CAUSAL, BOTH, "by-magic"):
            with pytest.raises(FacetError, match=method):
                go(tmp_path, endpoint, ExplainSettings((method,)))


def test_a_wrong_key_ends_the_run_and_what_was_answered_stays(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda _, n: (401, {}, b"who are you") if n else "[EXPLANATION]: Red things.") as endpoint:
        with pytest.raises(FacetError, match="who are you"):
            go(tmp_path, endpoint, concurrency=1)
        asked = len(endpoint.bodies)
        endpoint.behaviour = lambda body, _: LABEL if refines(body) else "[EXPLANATION]: Blue things."
        rows, _ = go(tmp_path, endpoint, concurrency=1)
        assert [row.text for row in rows[:3]] == ["Red things.", "Blue things.", "Blue things."]
        assert asked <= 3


def test_features_are_asked_about_side_by_side(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle", features=8, images=48)

    with serving(lambda *_: "") as endpoint:

        def answer(*_: Any) -> str:
            # Nobody is answered before three have asked.
            end = time.monotonic() + 20
            while endpoint.most_under_way < 3 and time.monotonic() < end:
                time.sleep(0.01)
            return "[EXPLANATION]: Red things."

        endpoint.behaviour = answer
        go(tmp_path, endpoint, ExplainSettings((TOP_IMAGES,), refine=False), concurrency=3, timeout_s=30)
        assert endpoint.most_under_way == 3
