"""A browser without a window, driven through the DevTools protocol over a pair of pipes: nothing of it
listens anywhere."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from serve_case import PATIENCE

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " ")}
SHIFT = 8


def find():
    """The program, or None."""
    named = os.environ.get("SLM_CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


class Silent(AssertionError):
    """The browser does not answer."""


class Browser:
    """One page. Events of the protocol are kept by their name."""

    def __init__(self, width=1000, height=700):
        self.window = width, height
        self.metrics = None
        self.start()

    def start(self):
        self.profile = tempfile.TemporaryDirectory(prefix="slm-browser-", ignore_cleanup_errors=True)
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        self.log = tempfile.TemporaryFile()
        # Its ends of the pipes have to be 3 and 4, which may be numbers that are in use here.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read_there, write_there)]
        self.process = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--hide-scrollbars", "--lang=en-US",
             f"--user-data-dir={self.profile.name}", "--window-size=%d,%d" % self.window,
             "--remote-debugging-pipe", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
            preexec_fn=lambda: [os.dup2(fd, number) for number, fd in enumerate(ends, 3)],
            pass_fds=(3, 4), env=dict(os.environ, HOME=self.profile.name))
        for fd in (read_there, write_there, *ends):
            os.close(fd)
        self.read, self.write = read_here, write_here
        self.data, self.number, self.session, self.events = b"", 0, None, {}
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def close(self):
        for fd in (self.read, self.write):
            os.close(fd)
        try:  # it ends when its pipe does
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        self.profile.cleanup()

    # ------------------------------------------------------------ the protocol

    def message(self, limit):
        """The next message; an event is put with the others."""
        while b"\0" not in self.data:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                raise Silent("the browser does not answer")
            piece = os.read(self.read, 1 << 20)
            if not piece:
                self.log.seek(0)
                raise AssertionError(f"the browser has ended: {self.log.read()[-2000:]!r}")
            self.data += piece
        text, self.data = self.data.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.setdefault(message["method"], []).append(message["params"])
        return message

    def call(self, method, seconds=30, **params):
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data):]
        limit = time.monotonic() + seconds * PATIENCE
        while True:
            message = self.message(limit)
            if message.get("id") == self.number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, script, what, seconds=20):
        limit = time.monotonic() + seconds * PATIENCE
        while not (value := self.run(script)):
            if time.monotonic() > limit:
                raise AssertionError(f"{what}; the page says {self.run('document.body.innerText')!r}")
            time.sleep(0.02)
        return value

    # ------------------------------------------------------------ what a person does

    def open(self, address):
        """A browser that stands still before it has shown anything is started once more: what is
        tested is the page."""
        try:
            self.events.clear()
            self.call("Page.navigate", seconds=10, url=address)
        except Silent:
            self.close()
            self.start()
            if self.metrics:
                self.size(*self.metrics)
            self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'",
                   f"{address} does not load")

    def key(self, name, modifiers=0):
        code, text = KEYS[name]
        common = {"key": name, "code": "Space" if name == " " else name, "modifiers": modifiers,
                  "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text,
                  **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        for c in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", text=c, key=c)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=c)

    def size(self, width, height, mobile=False):
        self.metrics = width, height, mobile
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)

    def colours(self, scheme):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """What is to be seen, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def tree(self):
        """What is told to a screen reader: nodes with role, name and properties, in their order."""
        nodes = []
        for node in self.call("Accessibility.getFullAXTree")["nodes"]:
            if not node["ignored"]:
                nodes.append(dict({p["name"]: p["value"].get("value") for p in node["properties"]},
                                  role=node["role"]["value"],
                                  name=node.get("name", {}).get("value", "")))
        return nodes
