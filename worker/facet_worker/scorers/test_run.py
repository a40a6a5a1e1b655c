"""A whole run of scores: rows in the bundle's form, resumed without asking again, retried on request, counted by cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facet_worker.bundle import SCHEMAS
from facet_worker.catalogue import Catalogue
from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.false_endpoint import FalseEndpoint, question, serving
from facet_worker.endpoint.settings import EndpointSettings, Prices
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError
from facet_worker.explain import Explanation
from facet_worker.score import Score
from facet_worker.scorers.judges import EndpointJudge
from facet_worker.scorers.keys import Others
from facet_worker.scorers.run import CLIP, CONSISTENCY, DETECTION, IOU, MONOSEMANTICITY, STEER, ScoreReport, ScoreRun, ScoreSettings, Tools
from facet_worker.scorers.test_scorers import Colours, row
from facet_worker.small_bundle import SILENT, write_small_bundle
from facet_worker.studied import Said, Steered, SteerJob, StudiedModel

ROWS = [row(0, "red"), row(1, "blue"), row(2, None), row(SILENT, "green"), row(2, "white", None)]


class Model(StudiedModel):
    """Names the colour of the feature that is set."""

    def __init__(self) -> None:
        self.name, self.batch = "studied", 4

    def fires(self, picture: Any) -> frozenset[int]:
        # The first feature fires on everything that is not blue.
        return frozenset() if picture[0, 0].tolist() == [0, 0, 255] else frozenset({0})

    def steered(self, jobs: Sequence[SteerJob]) -> list[Steered | FacetError]:
        said = {0: "red", 1: "blue", 2: "white", SILENT: "gray"}
        return [Steered(Said(None, "nothing", "stop", True), (Said(4.0, f"a {said[job.feature]} wall", "stop", True),)) for job in jobs]


def go(
    folder: Path,
    endpoint: FalseEndpoint,
    metrics: tuple[str, ...],
    rows: Sequence[Explanation] = ROWS,
    retry_failed: bool = False,
    **more: Any,
) -> tuple[list[Score], ScoreReport]:
    store = Store(folder / "run")
    asker = EndpointAsker(EndpointSettings(endpoint.url, "judge", attempts=1, **more), store)
    finds = lambda sha, picture, label: np.ones(picture.size[::-1], np.bool_)  # noqa: E731
    tools = Tools(Colours(), finds, "everything", EndpointJudge(asker), Model(), asker)
    try:
        run = ScoreRun(Catalogue(folder / "bundle"), rows, ScoreSettings(metrics, off=4, side=16), tools, store)
        return run.run(retry_failed=retry_failed)
    finally:
        asker.close()
        store.close()


def test_every_score_of_every_explanation_that_can_have_it(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle", broken=[7])
    with serving(lambda body, _: "yes" if "red" in question(body) else "no") as endpoint:
        scores, report = go(tmp_path, endpoint, (CLIP, IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER))
        asked = len(endpoint.bodies)
        assert go(tmp_path, endpoint, (CLIP, IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER))[0] == scores
        assert len(endpoint.bodies) == asked
    found = {(s.index, s.metric): s for s in scores}
    assert len(found) == len(scores) == 6 * 4
    assert {s.explanation for s in scores} == {"causal"}
    # Red, green, blue, yellow, white against red: 100, 0, 0, 71, 58, but for each one's odd corner.
    assert found[0, CLIP].value == pytest.approx((100 + 0 + 0 + 100 / 2**0.5 + 100 / 3**0.5) / 5, abs=0.5)
    assert (found[0, CLIP].n, found[0, CLIP].failure) == (5, None)
    assert (found[1, CLIP].n, found[1, CLIP].failure) == (4, "1 of 5 pictures failed: the picture cannot be read.")
    assert 0.3 < (found[0, IOU].value or 0) == found[0, IOU].baseline
    assert (found[2, IOU].value, found[2, IOU].failure) == (None, "The explanation has no label.")
    assert (found[0, CONSISTENCY].value, found[0, CONSISTENCY].baseline, found[0, CONSISTENCY].n) == (1, 0, 1)
    # Of the pictures of others, only number 14 is blue.
    assert (found[0, DETECTION].value, found[0, DETECTION].n) == (0.5, 6)
    assert found[1, DETECTION].n == 4 + 4
    assert found[0, MONOSEMANTICITY].n == 5
    assert 0 < (found[0, MONOSEMANTICITY].value or 0) < 1
    assert found[0, MONOSEMANTICITY].baseline is not None
    assert (found[0, STEER].value, found[0, STEER].n) == (1, 6)
    assert found[0, STEER].baseline == 0
    assert (found[SILENT, STEER].value, found[SILENT, CLIP].failure) == (0, "It fires on no picture.")
    told = report.to_json()["metrics"]
    assert told["clip"]["scored"] == 2
    # Of the one without a label the text is embedded, which these colours cannot.
    assert told["clip"]["failed"] == {
        "It fires on no picture.": 1, "5 of 5 pictures failed: unknown color specifier: 'some text. none' (5).": 1,
    }  # fmt: skip
    assert told["clip"]["with_failed_pictures"] == 1
    assert told["clip"]["mean"] == pytest.approx(np.mean([found[i, CLIP].value for i in (0, 1)]))
    assert told["steer"]["random"] == pytest.approx(np.mean([found[i, STEER].baseline for i in (0, 1, SILENT)]))
    assert set(SCHEMAS["scores"].names) == set(vars(scores[0]))
    for score in scores:
        assert (score.value is None) == (score.n == 0)
        assert score.value is not None or score.failure
        assert "baseline" in score.method


def test_failed_scores_are_measured_again_on_request_only(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda *_: "I would say red") as endpoint:
        scores, report = go(tmp_path, endpoint, (CONSISTENCY,))
        assert [s.value for s in scores] == [None] * 4
        assert report.failed[CONSISTENCY] == {
            "1 of 1 verdicts failed: the judge said neither yes nor no: “I would say red”.": 3, "It fires on no picture.": 1,
        }  # fmt: skip
        asked = len(endpoint.bodies)
        endpoint.behaviour = lambda *_: "yes"
        assert go(tmp_path, endpoint, (CONSISTENCY,))[0] == scores
        assert len(endpoint.bodies) == asked
        scores, report = go(tmp_path, endpoint, (CONSISTENCY,), retry_failed=True)
        assert [s.value for s in scores] == [1, 1, 1, None]
        assert report.scored[CONSISTENCY] == 3


def test_a_score_stays_as_long_as_the_words_that_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_bundle(tmp_path / "bundle")
    metrics = (CLIP, IOU, CONSISTENCY, DETECTION, MONOSEMANTICITY, STEER)
    measured: list[tuple[str, int, str | None]] = []
    really = ScoreRun._measure

    def counted(run: ScoreRun, metric: str, record: Any, row: Explanation, *more: Any) -> Any:
        measured.append((metric, row.index, row.label))
        return really(run, metric, record, row, *more)

    monkeypatch.setattr(ScoreRun, "_measure", counted)
    before = [row(0, "red"), row(1, "blue"), row(2, "white"), row(SILENT, "green")]
    # Of one the words changed, and of one who said them.
    after = [before[0], row(1, "yellow"), replace(before[2], method="top-images"), before[3]]
    with serving(lambda body, _: "yes" if "red" in question(body) else "no") as endpoint:
        first = {(s.index, s.metric): s for s in go(tmp_path, endpoint, metrics, before)[0]}
        measured.clear()
        scores, report = go(tmp_path, endpoint, metrics, after)
        again, redone = {(s.index, s.metric): s for s in scores}, {(metric, index) for metric, index, _ in measured}
        # As if nothing had been scored before.
        (tmp_path / "fresh").mkdir()
        (tmp_path / "bundle").rename(tmp_path / "fresh" / "bundle")
        assert go(tmp_path / "fresh", endpoint, metrics, after)[0] == scores
    assert len(scores) == len(again) == 4 * 6
    # What is of the feature alone was left; what is said of the changed one was redone, whatever it is; and of the others only where it was or is their chance.
    assert {metric for metric, index in redone if index == 1} == set(metrics) - {MONOSEMANTICITY}
    others = {(metric, index) for metric, index in redone if index != 1}
    stayed = {(metric, index) for index in (0, 2, SILENT) for metric in metrics} - others
    assert len(stayed) > len(others)
    assert all(replace(again[index, metric], explanation="causal") == first[index, metric] for metric, index in stayed)
    assert {again[2, metric].explanation for metric in metrics} == {"top-images"}
    assert (first[1, STEER].value, again[1, STEER].value) == (1, 0)
    assert report.scored[STEER] == 4


def test_ended_in_the_middle_it_goes_on_and_ends_as_an_unbroken_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_bundle(tmp_path / "bundle")
    metrics = (CLIP, IOU, DETECTION, STEER)
    really, begun = ScoreRun._measure, list[tuple[str, int]]()

    def ended(run: ScoreRun, metric: str, record: Any, *more: Any) -> Any:
        begun.append((metric, record.index))
        if len(begun) == 6:
            raise KeyboardInterrupt
        return really(run, metric, record, *more)

    with serving(lambda body, _: "yes" if "red" in question(body) else "no") as endpoint:
        monkeypatch.setattr(ScoreRun, "_measure", ended)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path, endpoint, metrics)
        scores, _ = go(tmp_path, endpoint, metrics)
        # What was kept was not measured again.
        assert len(begun) == len(scores) + 1
        assert begun.count(begun[5]) == 2
        monkeypatch.undo()
        (tmp_path / "fresh").mkdir()
        (tmp_path / "bundle").rename(tmp_path / "fresh" / "bundle")
        assert go(tmp_path / "fresh", endpoint, metrics)[0] == scores


def test_a_label_more_changes_only_the_draws_that_it_wins() -> None:
    rows = [row(index, f"thing {index}") for index in range(400)]
    few, more = Others(rows[:-1], 0), Others(rows, 0)
    drawn = [(few.draw(CLIP, one), more.draw(CLIP, one)) for one in rows[:-1]]
    changed = [after for before, after in drawn if before != after]
    assert len(changed) <= 8
    assert {one.index for one in changed if one} <= {399}
    # All labels have the same chance: 399 draws of as many hit about 1 - 1/e of them.
    assert 0.55 < len({after.label for _, after in drawn if after}) / 400 < 0.72
    assert all(after is not None and after.label != one.label for one, (_, after) in zip(rows, drawn, strict=False))
    assert {draw.label for one in rows if (draw := more.draw(CLIP, one, lambda label: label in ("thing 3", "thing 7")))} == {
        "thing 3",
        "thing 7",
    }
    assert Others(rows[:1], 0).draw(CLIP, rows[0]) is None
    assert (
        [more.draw(IOU, one) for one in rows] != [more.draw(CLIP, one) for one in rows] != [Others(rows, 1).draw(CLIP, one) for one in rows]
    )


def test_the_cost_limit_stops_and_says_what_is_left(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    with serving(lambda *_: "yes") as endpoint:
        money: dict[str, Any] = {"prices": Prices(1000, 1000), "image_tokens": 1, "concurrency": 1}
        scores, report = go(tmp_path, endpoint, (CONSISTENCY,), cost_limit=0.7, **money)
        assert report.left[CONSISTENCY] == 4 - len(scores) > 0
        assert "The cost limit leaves" in str(report.stopped)
        scores, report = go(tmp_path, endpoint, (CONSISTENCY,), cost_limit=9, **money)
        assert (len(scores), report.stopped) == (4, None)


def test_a_feature_that_fires_nearly_everywhere_has_no_detection(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    catalogue = Catalogue(tmp_path / "bundle")
    for record in catalogue.features({0}):
        object.__setattr__(record, "images", 12)
        store = Store(tmp_path / "run")
        run = ScoreRun(catalogue, ROWS, ScoreSettings((CLIP,)), Tools(Colours()), store)
        assert "fires on 50%" in str(run._impossible(DETECTION, record, ROWS[0]))
        store.close()


def test_refuses_scores_without_their_tool_and_other_settings(tmp_path: Path) -> None:
    write_small_bundle(tmp_path / "bundle")
    catalogue, store = Catalogue(tmp_path / "bundle"), Store(tmp_path / "run")
    for metric in (IOU, "beauty"):
        with pytest.raises(FacetError, match=metric):
            ScoreRun(catalogue, ROWS, ScoreSettings((metric,)), Tools(Colours()), store)
    ScoreRun(catalogue, ROWS, ScoreSettings((CLIP,)), Tools(Colours()), store).run()
    with pytest.raises(FacetError, match="another configuration: pictures differ"):
        ScoreRun(catalogue, ROWS, ScoreSettings((CLIP,), pictures=2), Tools(Colours()), store).run()
    store.close()
