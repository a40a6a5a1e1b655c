"""Against a real server: every way of failing has its cause, money and pace have limits, and what was answered is never asked again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facet_worker.endpoint.asker import EndpointAsker
from facet_worker.endpoint.client import Answer, retry_after_of
from facet_worker.endpoint.false_endpoint import FalseEndpoint, good, question, serving
from facet_worker.endpoint.limits import CostLimitReached
from facet_worker.endpoint.settings import AskFailed, EndpointSettings, Prices
from facet_worker.endpoint.store import Store
from facet_worker.errors import FacetError

HTML = (200, {"content-type": "text/html"}, b"<html><body>Please sign in</body></html>")
HALF = (200, {"content-type": "application/json"}, good("a dog")[2][:40])


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = Store(tmp_path / "run")
    yield found
    found.close()


def asker(endpoint: FalseEndpoint, store: Store, **more: Any) -> EndpointAsker:
    return EndpointAsker(
        EndpointSettings(endpoint.url, "explainer", **{"first_wait_s": 0.01, "timeout_s": 5, "attempts": 3, **more}), store
    )


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        ((429, {}, b"slow down"), "rate_limited"),
        ((500, {}, b"out of memory"), "server_error"),
        ((503, {}, b""), "server_error"),
        (HTML, "html"),
        ((200, {}, b""), "empty"),
        (HALF, "broken_json"),
        ((200, {}, b"[" * 200_000), "broken_json"),
        ((200, {}, b'{"error": "no"}'), "wrong_shape"),
        ((200, {}, b'{"choices": [{"message": {"content": 7}}]}'), "wrong_shape"),
        ((200, {"content-length": "900"}, b'{"choices'), "connection"),
        ((200, {"content-encoding": "gzip"}, b"no gzip"), "connection"),
        ((200, {}, b" " * (5 << 20)), "too_long"),
        (0.6, "timeout"),
    ],
)
def test_each_way_of_failing_is_counted_by_its_cause_and_tried_again(store: Store, bad: Any, cause: str) -> None:
    with serving(lambda _, n: bad if n == 0 else "a dog") as endpoint:
        one = asker(endpoint, store, timeout_s=0.3 if cause == "timeout" else 5)
        assert one.ask("what?").text == "a dog"
        assert one.report() == {"sent": 2, "answered": 1, "stored": 0, "failed_attempts": {cause: 1}}
    with serving(lambda *_: bad) as endpoint:
        one = asker(endpoint, store, timeout_s=0.3 if cause == "timeout" else 5, attempts=2)
        with pytest.raises(AskFailed) as caught:
            one.ask("what else?")
        assert (caught.value.cause, len(endpoint.bodies)) == (cause, 2)
        assert one.report()["failed_attempts"] == {cause: 2}


def test_refusals_are_not_tried_again_and_a_wrong_key_ends_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    with serving(lambda *_: (400, {}, b"too many pictures, sk-secret-1")) as endpoint:
        with pytest.raises(AskFailed, match=r"400: too many pictures, …") as caught:
            asker(endpoint, store, key_env="MY_KEY").ask("what?")
        assert caught.value.cause == "refused"
        assert endpoint.keys == ["Bearer sk-secret-1"]
    with serving(lambda *_: (200, {}, b'{"choices": [{"message": {"content": null}}]}')) as endpoint:
        with pytest.raises(AskFailed) as caught:
            asker(endpoint, store).ask("what?")
        assert (caught.value.cause, len(endpoint.bodies), endpoint.keys) == ("no_text", 1, [None])
    for status, code in ((401, "unauthorized"), (403, "forbidden"), (404, "not_found")):
        with serving(lambda *_, status=status: (status, {}, b"bad key sk-secret-1")) as endpoint:
            with pytest.raises(FacetError, match="bad key …") as wrong:
                asker(endpoint, store, key_env="MY_KEY").ask("what?")
            assert (wrong.value.code, len(endpoint.bodies)) == (code, 1)
            assert "MY_KEY" in wrong.value.fix


def test_an_answer_that_no_file_takes_is_kept_as_far_as_one_does(store: Store) -> None:
    content = b'{"choices": [{"message": {"content": "a dog \\ud83d\\udc36, a\\u0000 cat \\ud83d"}}], "usage": {"prompt_tokens": 1%s}}' % (
        b"0" * 30
    )
    with serving(lambda *_: (200, {}, content)) as endpoint:
        found = asker(endpoint, store).ask("what?")
        assert (found.text, found.read) == ("a dog 🐶, a cat �", None)
        assert asker(endpoint, store).ask("what?") == found
        assert len(endpoint.bodies) == 1
    parts = b'{"choices": [{"message": {"content": [{"type": "text", "text": null}, {"type": "text", "text": "a sun"}]}}]}'
    with serving(lambda *_: (200, {}, parts)) as endpoint:
        assert asker(endpoint, store).ask("what else?").text == "a sun"


def test_the_key_is_nowhere_in_the_folder_and_settings_refuse_one(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-2")
    with serving(lambda *_: "you sent sk-secret-2") as endpoint:
        one = asker(endpoint, store, key_env="MY_KEY")
        assert one.ask("what?").text == "you sent …"
        assert "sk-secret-2" not in repr(vars(one.settings))
    store.close()
    assert all(b"sk-secret-2" not in path.read_bytes() for path in (tmp_path / "run").iterdir())
    for url in ("ftp://a/v1", "http://me:pass@a/v1", "http://a/v1?key=x", "a/v1"):
        with pytest.raises(FacetError, match="endpoint"):
            EndpointSettings(url, "m").check()
    with pytest.raises(FacetError, match="no name that one can have"):
        EndpointSettings("http://a/v1", "m", key_env="sk-secret").check()
    with pytest.raises(FacetError, match="prices"):
        EndpointSettings("http://a/v1", "m", cost_limit=1).check()


def test_retry_after_holds_everybody_back(store: Store) -> None:
    with serving(lambda _, n: (429, {"retry-after": "1"}, b"") if n == 0 else "yes") as endpoint:
        one = asker(endpoint, store)
        first = threading.Thread(target=one.ask, args=("a",))
        first.start()
        while not one.counts["rate_limited"]:
            time.sleep(0.01)
        one.ask("b")
        first.join()
        assert endpoint.times[1] - endpoint.times[0] > 0.9
        assert endpoint.times[2] - endpoint.times[0] > 0.9
    assert retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after_of(x) for x in (None, "soon", "nan", "inf", "-3")] == [None, None, None, None, 0]


def test_requests_are_paced_and_never_more_at_a_time_than_allowed(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with serving(lambda *_: "yes") as endpoint, ThreadPoolExecutor(8) as pool:
        list(pool.map(asker(endpoint, store, per_minute=1200).ask, [f"{i}" for i in range(11)]))
        assert endpoint.times[-1] - endpoint.times[0] > 0.45

    def slow(*_: Any) -> str:
        time.sleep(0.05)
        return "yes"

    with serving(slow) as endpoint, ThreadPoolExecutor(8) as pool:
        list(pool.map(asker(endpoint, store, concurrency=2).ask, [f"more {i}" for i in range(8)]))
        assert endpoint.most_under_way == 2


def test_the_cost_limit_stops_before_it_is_passed_and_holds_over_processes(tmp_path: Path) -> None:
    # A request may cost 64 + 1 + 10 tokens at 1 a thousand and does cost 30 + 10: after the third, .12 of .19 are spent.
    more: dict[str, Any] = {"prices": Prices(1000, 1000), "cost_limit": 0.19}
    with serving(lambda *_: good("yes", read=30, written=10)) as endpoint:
        store = Store(tmp_path)
        one = asker(endpoint, store, **more)
        for i in range(3):
            one.ask(f"{i}", max_tokens=10)
        with pytest.raises(CostLimitReached) as caught:
            one.ask("3", max_tokens=10)
        assert (caught.value.left, caught.value.needed) == (pytest.approx(0.07), pytest.approx(0.075))
        assert one.report() == {
            "sent": 3, "answered": 3, "stored": 0, "failed_attempts": {}, "spent": pytest.approx(0.12), "left": pytest.approx(0.07),
        }  # fmt: skip
        number = store.reserve(0.05)
        store.close()
        # That process died while a request was under way: nobody knows, so it counts as spent.
        store = Store(tmp_path)
        assert store.spent() == (pytest.approx(0.17), 0)
        one = asker(endpoint, store, **more)
        assert one.ask("1", max_tokens=10).text == "yes"
        assert (number, len(endpoint.bodies)) == (4, 3)
        store.close()


def test_the_cost_limit_counts_what_is_under_way_and_waits_for_it(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def slow(*_: Any) -> Any:
        time.sleep(0.05)
        return good("yes", read=0, written=10)

    with serving(slow) as endpoint, ThreadPoolExecutor(4) as pool:
        one = asker(endpoint, store, prices=Prices(1000, 1000), cost_limit=0.1)
        results = list(pool.map(lambda i: _outcome(lambda: one.ask(f"{i}", max_tokens=10)), range(8)))
        # Each reserves .075 and costs .01: one at a time, until less than .075 is left.
        assert results == ["yes"] * 3 + ["CostLimitReached"] * 5 or sorted(results) == ["CostLimitReached"] * 5 + ["yes"] * 3
        assert endpoint.most_under_way == 1
        assert one.store.spent()[0] == pytest.approx(0.03)


def _outcome(ask: Callable[[], Any]) -> str:
    try:
        return str(ask().text)
    except CostLimitReached as error:
        return type(error).__name__


def test_the_same_request_is_asked_once_even_at_the_same_time(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def slow(*_: Any) -> str:
        time.sleep(0.1)
        return "yes"

    picture = Image.new("RGB", (4, 4), "red")
    with serving(slow) as endpoint, ThreadPoolExecutor(4) as pool:
        one = asker(endpoint, store)
        list(pool.map(lambda _: one.ask("what?", [picture]), range(4)))
        one.ask("what?", [Image.new("RGB", (4, 4), "blue")])
        one.ask("what?", [picture], model="another")
        assert len(endpoint.bodies) == 3
        assert endpoint.bodies[0]["temperature"] == 0
        assert [part["type"] for part in endpoint.bodies[0]["messages"][0]["content"]] == ["image_url", "text"]


def test_an_endpoint_that_is_down_ends_the_run(store: Store) -> None:
    one = EndpointAsker(EndpointSettings("http://127.0.0.1:9/v1", "m", attempts=1, first_wait_s=0), store)
    for i in range(11):
        with pytest.raises(AskFailed):
            one.ask(f"{i}")
    with pytest.raises(FacetError, match="12 requests in a row") as caught:
        one.ask("12")
    assert caught.value.code == "engine_unavailable"


def test_settings_and_processes_do_not_mix(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.agree("explain", {"model": "a", "pictures": 5})
    store.agree("explain", {"model": "a", "pictures": 5})
    with pytest.raises(FacetError, match="another configuration: model differ"):
        store.agree("explain", {"model": "b", "pictures": 5})
    script = f"from facet_worker.endpoint.store import Store; from pathlib import Path; Store(Path({str(tmp_path)!r}))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stderr
    assert "Another process uses" in said
    store.close()
    (tmp_path / "answers.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(FacetError, match="damaged or something else"):
        Store(tmp_path)


def test_a_full_disk_is_said_and_what_was_kept_stays(tmp_path: Path) -> None:
    with serving(lambda *_: "x" * 5000) as endpoint:
        store = Store(tmp_path)
        one = asker(endpoint, store)
        one.ask("a")
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")

        def ask_often() -> None:
            for i in range(9):
                one.ask(f"{i}")

        with pytest.raises(FacetError, match=r"disk under .* is full") as caught:
            ask_often()
        assert caught.value.code == "disk_full"
        store.close()
        store = Store(tmp_path)
        assert asker(endpoint, store).ask("a").text == "x" * 5000
        assert [question(body) for body in endpoint.bodies].count("a") == 1
        store.close()


def test_failures_are_forgotten_with_their_answers_only(tmp_path: Path) -> None:
    with serving(lambda *_: "yes") as endpoint:
        store = Store(tmp_path)
        one = asker(endpoint, store)
        a, b = one.ask("a"), one.ask("b")
        store.keep_record("step", "1", {"x": 1}, None, [a.key])
        store.keep_record("step", "2", {"x": 2}, "off_format", [b.key])
        assert store.forget_failures("step") == 1
        assert (store.record("step", "1"), store.record("step", "2")) == (({"x": 1}, None), None)
        one.ask("a")
        one.ask("b")
        assert [question(body) for body in endpoint.bodies] == ["a", "b", "b"]
        store.close()


def test_after_kill_9_nothing_is_asked_twice(tmp_path: Path) -> None:
    def slow(*_: Any) -> str:
        time.sleep(0.03)
        return "yes"

    with serving(slow) as endpoint:
        script = (
            "import sys; from pathlib import Path; from facet_worker.endpoint.asker import EndpointAsker\n"
            "from facet_worker.endpoint.settings import EndpointSettings; from facet_worker.endpoint.store import Store\n"
            "one = EndpointAsker(EndpointSettings(sys.argv[1], 'm'), Store(Path(sys.argv[2])))\n"
            "for i in range(40):\n    one.ask(str(i))\n"
        )
        command = [sys.executable, "-c", script, endpoint.url, str(tmp_path)]
        worker = subprocess.Popen(command)
        while len(endpoint.bodies) < 10:
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        asked = len(endpoint.bodies)
        assert asked < 40
        subprocess.run(command, check=True)
        # Only the one that was under way may have been sent twice: its answer never came.
        said = [question(body) for body in endpoint.bodies]
        assert sorted(set(said), key=int) == [str(i) for i in range(40)]
        assert len(said) - len(set(said)) <= 1
        assert set(said[asked + 1 :]).isdisjoint(said[: asked - 1])


def test_failures_are_forgotten_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_answer(Answer("yes", "stop", 1, 1, "now", "a"))
    store.keep_record("step", "1", {}, "refused", ["a"])
    forbid = "CREATE TEMP TRIGGER kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    with closing(store):
        store._db.execute(forbid)
        with pytest.raises(FacetError):
            store.forget_failures("step")
        assert store.answer("a") is not None
        store._db.execute("DROP TRIGGER kept")
        assert store.forget_failures("step") == 1
        assert (store.answer("a"), store.record("step", "1")) == (None, None)
