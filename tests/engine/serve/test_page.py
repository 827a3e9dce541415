"""The page at `/`, in a real browser and against a real server."""

import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.serve.routes import page as route
from support.browser import Browser, Page, browsing
from support.servers import Server, serving

PHONE = (360, 780)
HOSTILE = "<img src=x onerror=hurt=1>"
ENDLESS = "w" * 300
TEXTS = ["A man plays a guitar.", "The stock market fell.", "Rain is expected tomorrow.", HOSTILE, ENDLESS]
METADATA: list[dict[str, Any] | None] = [
    {"year": 2021, "tags": ["a", "b"]},
    None,
    {"where": {"city": "Łódź"}},
    {HOSTILE: HOSTILE},
    {ENDLESS: ENDLESS},
]
KEY = "a-key"
UNDER_WAY = 2
# What texts need beside their background, by WCAG 2.2 level AA.
CONTRAST = 4.5

# The contrast of an element's text and what lies under it, as the browser paints both.
_CONTRAST = """
(selector) => [...document.querySelectorAll(selector)].map((element) => {
    const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const paint = (color) => { context.fillStyle = color; context.fillRect(0, 0, 1, 1); };
    const luminance = () => [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)
        .map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const below = [];
    for (let each = element; each; each = each.parentElement) below.unshift(getComputedStyle(each).backgroundColor);
    below.forEach(paint);
    const background = luminance();
    paint(getComputedStyle(element).color);
    const text = luminance();
    return (Math.max(text, background) + 0.05) / (Math.min(text, background) + 0.05);
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "entries"
    with Index.create(folder, artifact) as index:
        index.add(TEXTS, metadata=METADATA)
    return folder


@pytest.fixture(scope="module")
def server(artifact: Path, folder: Path) -> Iterator[Server]:
    with serving(artifact, "--index", folder) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(artifact: Path) -> Iterator[Server]:
    """One with a key, without an index."""
    with serving(artifact, "--max-concurrent-requests", str(UNDER_WAY), key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def encoder(artifact: Path) -> Iterator[Encoder]:
    with Encoder(artifact) as encoder:
        yield encoder


@contextmanager
def opened(browser: Browser, server: Server, size: tuple[int, int] = (1280, 900), *, dark: bool = False) -> Any:
    """The page, once it shows what it shows by itself; it asks nobody else, and nothing goes wrong on it."""
    with browser.open(server.url + "/", size, dark=dark) as page:
        page.wait("document.querySelector('#chosen').innerText && document.querySelector('#marker').hidden === false")
        yield page
        assert page.external() == []
        assert page.errors == []
        assert page.failed == []


def cosines(encoder: Encoder, texts: list[str]) -> Any:
    vectors = encoder.encode(texts).astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def said(page: Page, panel: str) -> str:
    page.wait(f"!document.querySelector('#{panel} .notice').hidden")
    return page.text(f"#{panel} .notice")


def test_one_document_runs_its_own_scripts_alone(server: Server) -> None:
    answer = server.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    document = answer.content.decode()
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for kind in ("script", "style"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", document, re.DOTALL)
        assert policy[f"{kind}-src"] == f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    assert set(re.findall(r"https?://[^\s'\"]+", document)) == {"http://www.w3.org/2000/svg"}  # a name, not a place


def test_no_script_makes_markup_of_texts() -> None:
    scripts = list(Path(route.__file__).parents[1].glob("page/*.js"))
    assert len(scripts) > 3
    for script in scripts:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|cookie", script.read_text()
        )


def test_two_sentences_have_the_encoders_cosine(browser: Browser, server: Server, encoder: Encoder) -> None:
    with opened(browser, server) as page:
        for first, second in [("One.", "Another."), ("Something", "Something"), ("日本語 🎸", "a\nb")]:
            before = page.text("#cosine")
            page.fill("#first", first)
            page.fill("#second", second)
            expected = cosines(encoder, [first, second])[0, 1]
            page.wait(f"Math.abs(document.querySelector('#cosine').innerText.replace('−', '-') - {expected}) < 6e-5")
            assert page.text("#cosine") != before
        assert "ms there and back" in page.text("#pair .timing")
        assert "inference" in page.text("#pair .timing")
        page.fill("#second", "")
        page.wait("document.querySelector('#cosine').innerText === '–'")


def test_the_matrix_has_the_encoders_cosines(browser: Browser, server: Server, encoder: Encoder) -> None:
    texts = ["One.", "Another.", HOSTILE, "One."]
    with opened(browser, server) as page:
        page.fill("#lines", "\n".join([texts[0], "", *texts[1:]]))
        page.wait("document.querySelectorAll('#grid tbody tr').length === 4")
        shown = np.array(list(map(number, page.texts("#grid td")))).reshape(4, 4)
        np.testing.assert_allclose(shown, cosines(encoder, texts), atol=0.0051)
        assert page.text("#chosen").startswith("1 and 4: 1.0000")  # the closest two
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        page.fill("#lines", "\n".join(f"Line {i}." for i in range(40)))
        page.wait("document.querySelectorAll('#grid tbody tr').length === 12")
        assert "the first 12 of 40 lines" in page.text("#matrix .timing")
        page.fill("#lines", "alone")
        page.wait("document.querySelectorAll('#grid tr').length === 0")


def test_arrow_keys_move_in_the_matrix(browser: Browser, server: Server) -> None:
    with opened(browser, server) as page:
        assert page.evaluate("document.querySelectorAll('#grid [tabindex=\"0\"]').length") == 1
        page.evaluate("document.querySelector('#grid td').focus()")
        for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft"):
            page.press(key)
        assert page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column]") == [
            "2",
            "0",
        ]
        assert page.text("#chosen").startswith("3 and 1: ")
        assert page.evaluate("document.querySelectorAll('#grid [tabindex=\"0\"]').length") == 1


def test_search_shows_the_indexs_hits(browser: Browser, server: Server, folder: Path) -> None:
    with Index.open(folder) as index:
        (expected,) = index.search(["A guitar is played."], k=10)
        (kept,) = index.search(["A guitar is played."], k=10, where={"year": 2021})
    with opened(browser, server) as page:
        assert page.text("#entries") == f"{len(TEXTS)} entries"
        page.fill("#query", "A guitar is played.")
        page.wait(f"document.querySelectorAll('#hits li').length === {len(expected)}")
        assert page.texts("#hits .text") == [hit.text for hit in expected]
        shown = list(map(number, page.texts("#hits .score")))
        np.testing.assert_allclose(shown, [hit.score for hit in expected], atol=6e-5)
        assert page.text("#found") == "5 hits"
        (years,) = (text for text in page.texts("#hits dl") if "year" in text)
        assert re.search(r'year\s+2021\s+tags\s+\["a","b"]', years)

        page.click("#search summary")
        page.fill("#where", '{"year": ')
        assert "not JSON yet" in said(page, "search")
        page.fill("#where", '{"year": 2021}')
        page.wait("document.querySelectorAll('#hits li').length === 1")
        assert page.texts("#hits .text") == [hit.text for hit in kept]
        page.fill("#threshold", "1")
        page.wait("document.querySelector('#found').innerText === 'No hits'")
        page.fill("#k", "0")
        assert "Not a choice" in said(page, "search")


def test_texts_and_metadata_are_never_markup(browser: Browser, server: Server) -> None:
    with opened(browser, server) as page:
        page.fill("#query", HOSTILE)
        page.wait("document.querySelectorAll('#hits li').length > 3")
        assert page.texts("#hits .text")[0] == HOSTILE
        assert HOSTILE in page.text("#hits dl")
        page.fill("#first", HOSTILE)
        page.fill("#lines", f"{HOSTILE}\n{HOSTILE}")
        page.wait("document.querySelectorAll('#grid tbody tr').length === 2")
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        assert page.evaluate("typeof window.hurt") == "undefined"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_shows_all_of_it(browser: Browser, server: Server, dark: bool) -> None:
    with opened(browser, server, PHONE, dark=dark) as page:
        page.fill("#query", ENDLESS)
        page.wait("document.querySelectorAll('#hits li').length > 3")
        page.fill("#first", ENDLESS)
        page.fill("#lines", "\n".join([ENDLESS] * 12))
        page.wait("document.querySelectorAll('#grid tbody tr').length === 12")
        page.click("#search summary")
        page.click("#code summary")
        assert page.overflow() == 0

        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(re.findall(r"\d+", background)[0])
        assert red < 60 if dark else red > 200
        # Each shade that a cosine can have, both ways.
        page.evaluate("""document.querySelectorAll('#grid td').forEach((cell, i) => shade(cell, (i - 72) / 71))""")
        texts = "#grid td, #grid th, .score, .text, dt, dd, h1, h2, label, .aside, .facts, .timing, summary, footer, a"
        contrasts = page.evaluate(f"({_CONTRAST})({json.dumps(texts)})")
        assert len(contrasts) > 200
        assert min(contrasts) >= CONTRAST


def test_every_field_has_a_name_and_answers_are_announced(browser: Browser, server: Server) -> None:
    with opened(browser, server) as page:
        nameless = """[...document.querySelectorAll('input, textarea, button, table, [role=region]')].filter((e) =>
            !e.labels?.length && !e.textContent.trim() && !e.ariaLabel && !e.getAttribute('aria-labelledby')).length"""
        assert page.evaluate(nameless) == 0
        for announced in ("#found", "#cosine", "#chosen"):
            live = f"document.querySelector('{announced}').matches('[role=status], [aria-live=polite]')"
            assert page.evaluate(live)
        page.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.press("Tab")
        assert page.evaluate("document.activeElement.id") == "query"


def test_an_older_question_is_given_up(browser: Browser, server: Server, encoder: Encoder) -> None:
    with opened(browser, server) as page:
        page.evaluate("""Promise.all(["One.", "Two.", "Three."].map((text) => {
            document.querySelector('#first').value = text;
            return panels[1].now();
        }))""")
        expected = cosines(encoder, ["Three.", page.evaluate("document.querySelector('#second').value")])[0, 1]
        assert number(page.text("#cosine")) == pytest.approx(expected, abs=6e-5)
        assert page.evaluate("panels[1].asking") is None


def test_a_text_that_is_too_long_is_told_in_the_servers_words(browser: Browser, server: Server) -> None:
    long = "word " * 100
    stated = server.ask("POST", "/embed", {"inputs": [long, "b"]})
    assert stated.status == 413
    with browser.open(server.url + "/") as page:
        page.fill("#first", long)
        assert json.loads(stated.content)["error"] in said(page, "pair")
        assert page.text("#cosine") == "–"
        page.fill("#first", "short")
        page.wait("document.querySelector('#cosine').innerText !== '–'")
        assert page.evaluate("document.querySelector('#pair .notice').hidden")


def test_the_key_is_asked_for_and_kept_in_this_tab_alone(browser: Browser, guarded: Server) -> None:
    with browser.open(guarded.url + "/", PHONE) as page:
        page.wait("document.activeElement.id === 'key-value'")
        assert page.errors == []  # nothing was asked in vain
        page.fill("#key-value", "ключ")
        page.press("Enter")
        page.wait("!document.querySelector('#key-wrong').hidden")
        assert page.requests == [guarded.url + "/"]
        page.fill("#key-value", "wrong")
        page.press("Enter")
        page.wait("document.querySelector('#key-wrong').innerText.includes('wrong; send')")
        assert page.evaluate("sessionStorage.length") == 0
        page.fill("#key-value", KEY)
        page.press("Enter")
        page.wait("document.querySelector('#cosine').innerText !== '–'")
        assert page.evaluate("document.querySelector('#search').checkVisibility()") is False  # it has no index
        assert page.evaluate("[JSON.stringify(sessionStorage), localStorage.length, document.cookie]") == [
            json.dumps({"api-key": KEY}, separators=(",", ":")),
            0,
            "",
        ]
        assert page.overflow() == 0
        assert all(failed.startswith("401 ") for failed in page.failed)

        page.visit(guarded.url + "/")
        page.wait("document.querySelector('#cosine').innerText !== '–'")
        page.click("#forget")
        page.wait("document.activeElement.id === 'key-value'")
        assert page.evaluate("sessionStorage.length") == 0


def test_a_full_server_is_told_and_asked_again(browser: Browser, guarded: Server) -> None:
    with browser.open(guarded.url + "/") as page, ExitStack() as sockets:
        page.wait("document.activeElement.id === 'key-value'")
        page.fill("#key-value", KEY)
        page.press("Enter")
        page.wait("document.querySelector('#chosen').innerText && document.querySelector('#marker').hidden === false")
        page.wait("panels.every((panel) => panel.asking === null)")

        slow = [sockets.enter_context(socket.create_connection(guarded.address)) for _ in range(UNDER_WAY)]
        body = json.dumps({"inputs": "slow"}).encode()
        for each in slow:
            head = (
                f"POST /embed HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            each.sendall(head.encode())
        while guarded.ask("POST", "/embed", {"inputs": "full?"}).status != 429:
            pass
        page.fill("#first", "Is there room?")
        message = said(page, "pair")
        assert message.startswith("The server is full.")
        assert "--max-concurrent-requests" in message

        for each in slow:
            each.sendall(body)
            assert each.recv(12) == b"HTTP/1.1 200"
        page.click("#pair .notice button")
        page.wait("document.querySelector('#cosine').innerText !== '–'")
        assert page.evaluate("document.querySelector('#pair .notice').hidden")


def test_a_server_that_comes_back_is_found_again(browser: Browser, artifact: Path) -> None:
    with serving(artifact, code=None) as server, browser.open(server.url + "/") as page:
        page.wait("document.querySelector('#cosine').innerText !== '–'")
        server.process.terminate()
        server.process.wait()
        page.evaluate("begin()")
        assert said(page, "pair").startswith("No answer. The server cannot be reached.")
        with serving(artifact, "--port", str(server.address[1])):
            page.wait("document.querySelector('#cosine').innerText !== '–'")
            assert page.evaluate("document.querySelector('#pair .notice').hidden")
