"""Pages in a real browser, as a person sees and uses them."""

import json
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.chromium import SECONDS, Chromium

PHONE = (390, 844)
DESKTOP = (1280, 800)

# Keys by their names in the DOM, with the codes that browsers once gave them.
_KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

# The middle of the element once it lies still, if a click there reaches it; whether one did is noted.
_MIDDLE = """
(async () => {
    const element = document.querySelector(SELECTOR);
    if (!element) return "there is none";
    element.scrollIntoView({block: "center", behavior: "instant"});
    let before, box = {};
    do {
        before = box;
        await new Promise(requestAnimationFrame);
        box = element.getBoundingClientRect();
    } while (box.x !== before.x || box.y !== before.y || box.width !== before.width || box.height !== before.height);
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    const top = document.elementFromPoint(x, y);
    if (!element.contains(top)) return `${top ? top.outerHTML.slice(0, 200) : "nothing"} lies there`;
    window.clickReached = false;
    element.addEventListener("click", () => { window.clickReached = true; }, {capture: true, once: true});
    return [x, y];
})()
"""


class Page:
    """A page that is open.

    Attributes:
        errors: what its scripts threw, wrote to the console as errors or warnings, and what the browser found wrong.
        requests: the URLs that it has asked for, data and blobs aside.
        failed: those that could not be fetched or were answered by an error.
    """

    def __init__(self, chromium: Chromium, size: tuple[int, int], *, dark: bool) -> None:
        self._chromium = chromium
        target = chromium.send("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self._session = chromium.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.failed: list[str] = []
        self._urls: dict[str, str] = {}
        self._loaded = False
        chromium.listen(self._session, self._hear)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")
        width, height = size
        phone = width < 600
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1 + phone, mobile=phone
        )
        self._send("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def visit(self, url: str) -> None:
        """Go to a URL and wait until it and all that it names are loaded."""
        self._loaded = False
        went = self._send("Page.navigate", url=url)
        assert not went.get("errorText"), f"{url}: {went['errorText']}"
        end = time.monotonic() + SECONDS
        while not self._loaded:
            assert time.monotonic() < end, f"{url} is not loaded within {SECONDS} s"
            self.evaluate("0")  # hears events
            time.sleep(0.005)

    def external(self) -> list[str]:
        """Those of the requests that went elsewhere than to the page's own server."""
        own = urlsplit(str(self.evaluate("location.href"))).netloc
        return [url for url in self.requests if urlsplit(url).netloc != own]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in JavaScript, awaited where it is a promise."""
        done = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            pytest.fail(f"{expression}\n{done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression once it is true."""
        end = time.monotonic() + SECONDS
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                pytest.fail(f"not true within {SECONDS} s: {expression}\n{self.errors}\n{self.text('body')}")
            time.sleep(0.01)
        return value

    def text(self, selector: str) -> str:
        """What a person reads in the first element that a CSS selector matches."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def texts(self, selector: str) -> list[str]:
        """What a person reads in each element that a CSS selector matches."""
        return list(
            self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map(element => element.innerText)")
        )

    def click(self, selector: str) -> None:
        """Click the middle of the first element that a CSS selector matches; fails where something lies over it."""
        end = time.monotonic() + SECONDS
        while True:
            middle = self.evaluate(_MIDDLE.replace("SELECTOR", json.dumps(selector)))
            if isinstance(middle, str):
                # An answer may still move it, or what lies over it.
                if time.monotonic() > end:
                    pytest.fail(f"{selector} cannot be clicked: {middle}")
                time.sleep(0.05)
                continue
            for kind in ("mousePressed", "mouseReleased"):
                place = {"x": middle[0], "y": middle[1]}
                self._send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
            # It may have moved at the last moment, since an answer arrived.
            if self.evaluate("window.clickReached") is not False:
                return
            if time.monotonic() > end:
                pytest.fail(f"no click reaches {selector}")

    def fill(self, selector: str, text: str) -> None:
        """Click a field and write into it in place of what it holds."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self._send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key where the focus is.

        Args:
            key: its name in the DOM, such as ``"Enter"`` or ``"Tab"``.
        """
        code = _KEYS[key]
        press = {"key": key, "code": key, "windowsVirtualKeyCode": code, **({"text": "\r"} if key == "Enter" else {})}
        self._send("Input.dispatchKeyEvent", type="keyDown", **press)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def overflow(self) -> int:
        """By how many CSS pixels the page is wider than its window."""
        return int(self.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        shot = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(b64decode(shot["data"]))

    def close(self) -> None:
        self._chromium.send("Target.closeTarget", targetId=self._target)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._chromium.send(method, self._session, **parameters)

    def _hear(self, event: str, facts: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            details = facts["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(part.get("value", part.get("description"))) for part in facts["args"]))
        elif event == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.errors.append(facts["entry"]["text"])
        elif event == "Network.requestWillBeSent" and facts["request"]["url"].startswith(("http", "ws")):
            self._urls[facts["requestId"]] = facts["request"]["url"]
            self.requests.append(facts["request"]["url"])
        elif event == "Network.responseReceived" and facts["response"]["status"] >= 400:
            self.failed.append(f"{facts['response']['status']} {facts['response']['url']}")
        elif event == "Network.loadingFailed" and not facts.get("canceled"):
            self.failed.append(f"{facts['errorText']} {self._urls.get(facts['requestId'])}")


class Browser:
    """A browser, which opens pages."""

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium

    @contextmanager
    def open(self, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Iterator[Page]:
        """A page on a screen of ``size`` CSS pixels, held in the hand where it is narrow."""
        page = Page(self._chromium, size, dark=dark)
        try:
            page.visit(url)
            yield page
        finally:
            page.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser; skips the test where there is none to be had."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chromium = Chromium(Path(folder))
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
