"""The page that is shown meanwhile: safe whatever a container is called and says."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from app.errors import ContainerError, ContainerFailed, ContainerSlow
from app.middleware.waiting_page import POLICY, STANDING, waiting_page, waiting_response

NASTY = "<script>alert(1)</script>\"'&"


@pytest.mark.parametrize("failed", [True, False])
def test_what_a_container_says_is_text(failed: bool) -> None:
    page = waiting_page(NASTY, failed=failed, detail=NASTY)
    assert "<script>alert" not in page
    assert (
        'data-health="/health/containers/%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%26"' in page
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in page


@pytest.mark.parametrize("element", ["script", "style"])
def test_the_policy_allows_just_its_own_pieces(element: str) -> None:
    page = waiting_page("board", failed=False, detail="")
    [piece] = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    digest = b64encode(sha256(piece.encode()).digest()).decode()
    assert f"{element}-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY


def test_the_reason_is_shown_when_it_failed() -> None:
    page = waiting_page("board", failed=True, detail="it exited with code 3")
    assert "<title>board did not start</title>" in page
    assert "it exited with code 3" in page


def test_without_scripts_it_is_loaded_again() -> None:
    page = waiting_page("board", failed=False, detail="")
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+"></noscript>', page)


@pytest.mark.parametrize(
    ("error", "retry_after", "standing"),
    [
        (ContainerSlow("board", "not yet", retry_after=4.2), "5", "waking"),
        (ContainerSlow("board", "not yet"), "1", "waking"),
        (ContainerFailed("board", "no disk", retry_after=8.0), "8", "failed"),
    ],
)
def test_the_refusal_says_how_it_is(error: ContainerError, retry_after: str, standing: str) -> None:
    response = waiting_response(error)
    assert response.status_code == 503
    assert response.headers["retry-after"] == retry_after
    assert response.headers[STANDING] == standing
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["cache-control"] == "no-store"


def test_elsewhere_it_asks_its_own_address() -> None:
    error = ContainerSlow("board", "not yet")
    assert b'data-health="/health/containers/board"' in waiting_response(error).body
    assert b'data-health=""' in waiting_response(error, elsewhere=True).body
