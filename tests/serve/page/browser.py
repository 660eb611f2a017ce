"""A headless Chromium, driven by the DevTools protocol over a pipe: Python's own library is all that it needs."""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class PageError(Exception):
    """What the page, or the browser, did wrong."""


def find_program():
    """Path of a Chromium, or None. FABULA_CHROMIUM names one."""
    named = os.environ.get("FABULA_CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One browser with one page. Collects what a good page has none of: console errors, and requests to elsewhere."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="fabula_browser_")
        commands, self.write_end = os.pipe()
        self.read_end, events = os.pipe()
        commands, events = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, events))

        def hand_over():  # the protocol's pipe is 3 and 4
            os.dup2(commands, 3)
            os.dup2(events, 4)

        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-extensions",
                 "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                 "--force-color-profile=srgb", f"--user-data-dir={self.folder}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses to run as root with it
        self.process = subprocess.Popen([program, *flags, "about:blank"], preexec_fn=hand_over, pass_fds=(3, 4),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(events)
        self.buffer = b""
        self.number = 0
        self.answers = {}
        self.problems = []  # console errors and exceptions
        self.requests = []  # addresses
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def close(self):
        for end in (self.write_end, self.read_end):
            os.close(end)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, method, **params):
        """The answer of a command of the protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        number, deadline = self.number, time.monotonic() + 60
        while number not in self.answers:
            self._read(deadline)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _read(self, deadline):
        if not select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))[0]:
            raise PageError("the browser does not answer")
        data = os.read(self.read_end, 1 << 16)
        if not data:
            raise PageError("the browser went away")
        *messages, self.buffer = (self.buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self._event(message["method"], message["params"])

    def _event(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())

    def evaluate(self, expression):
        """The value of an expression of the page; of a promise, what it resolves to."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait(self, condition, seconds=60, what=None):
        """Waits until an expression is truthy; its value then."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(condition)
            if value:
                return value
            if time.monotonic() > deadline:
                raise PageError(f"waited {seconds} s for {what or condition}; the page says:\n"
                                + str(self.evaluate("document.body.innerText")))
            time.sleep(0.05)

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def look(self, width, height, dark=False):
        """How large the window is, and which colours the reader likes; below 500 pixels it is a phone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def key(self, key, text=None):
        """Presses a key: "Enter", "Escape", "ArrowRight", "Tab"."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        if text:
            event["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown", **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector, index=0):
        """Clicks an element's middle with the mouse, as a reader would: it must be there and not covered."""
        place = self.evaluate(f"""(() => {{
          const element = document.querySelectorAll({json.dumps(selector)})[{index}];
          if (!element) return null;
          element.scrollIntoView({{block: 'center', behavior: 'instant'}});
          const box = element.getClientRects()[0];
          return box && {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
        }})()""")
        if not place:
            raise PageError(f"nothing to click: {selector}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
