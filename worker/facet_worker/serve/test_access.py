from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from facet_worker.errors import FacetError
from facet_worker.serve.access import Access, is_loopback
from facet_worker.serve.server import bind


async def _nothing(*_: object) -> None: ...


def refusal(token: str | None, path: str = "/v1/generate", **headers: str) -> str | None:
    error = Access(_nothing, token).refusal(path, Headers({"host": "127.0.0.1:8321", **headers}))
    return error.code if error else None


def test_lets_in_who_shows_the_token_and_nobody_else() -> None:
    assert refusal("secret", authorization="Bearer secret") is None
    assert refusal("secret", authorization="bearer secret", host="gpu.example.org", origin="https://example.org") is None
    for shown in ("", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer SECRET", "Basic secret", "secret", "Bearer sécret"):
        assert refusal("secret", authorization=shown) == "unauthorized"
    assert refusal("secret", "/info") == refusal("secret", "/metrics") == refusal("secret", "//health") == "unauthorized"
    assert refusal("secret", "/health") is None


def test_keeps_web_pages_out_where_there_is_no_token() -> None:
    for host in ("127.0.0.1", "localhost:1", "[::1]:8321"):
        assert refusal(None, host=host) is None
    for host in ("example.org", "example.org:8321", "127.0.0.1.example.org", "10.0.0.1", ""):
        assert refusal(None, host=host) == "forbidden"
    assert refusal(None, origin="https://example.org") == "forbidden"
    assert refusal(None, origin="http://127.0.0.1:8321") == "forbidden"


def test_listens_where_others_can_reach_it_only_with_a_token() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.1", "", "no.such.name.invalid")] == [False] * 5
    for host in ("0.0.0.0", "::"):
        with pytest.raises(FacetError) as caught:
            bind(host, 0, None)
        assert caught.value.code == "forbidden"
    for host, token in (("127.0.0.1", None), ("0.0.0.0", "secret")):
        listening = bind(host, 0, token)
        port = listening.getsockname()[1]
        assert port > 0
        listening.listen()
        with pytest.raises(FacetError, match=f"port {port}"):
            bind(host, port, token)
        listening.close()
