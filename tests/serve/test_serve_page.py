"""The chat page in a browser: written to by keyboard, read as a screen reader reads it, on a phone's
width, and held to its own server. SLM_PICTURE=FILE.png keeps a picture of it."""

import os
import socket
import sys
import tempfile
import unittest
from pathlib import Path

import browser
from browser import SHIFT, Browser
from serve_case import HEARTH, SKIP, Case, long_context, main

STATUS = "document.getElementById('status').textContent"
IDLE = "!document.getElementById('send').disabled"
TEXT = "document.getElementById('text').value"
ARTICLES = """[...document.querySelectorAll('#log article')].map(a =>
    [a.getAttribute('aria-label'), a.lastElementChild.textContent])"""

# What an answer looked like each time that it changed.
WATCH = """window.seen = []; new MutationObserver(() => {
    const last = document.querySelector('#log article:last-child');
    if (last) window.seen.push([last.textContent.length, last.getAttribute('aria-busy')]);
}).observe(document.getElementById('log'), {childList: true, subtree: true, characterData: true})"""

# Makes answers go on until they are stopped: the most likely token is always the same word.
ENDLESS = """{ const ask = window.fetch; window.fetch = (address, options) => {
    if (options && options.body)
        options.body = JSON.stringify(Object.assign(JSON.parse(options.body),
            {logit_bias: {"300": 100}, temperature: 0}));
    return ask(address, options); } }"""

# Text against what lies behind it, by the formula of WCAG 2: [ratio, text] of all that can be read.
CONTRAST = """(() => {
    const rgba = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => { const [r, g, b] = c.map(x => (x /= 255) <= 0.03928 ? x / 12.92 :
        ((x + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const behind = e => { for (; e; e = e.parentElement) {
        const c = rgba(getComputedStyle(e).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
    const all = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
        if (!text || !e.checkVisibility() || e.matches(':disabled, script')) continue;
        const a = light(rgba(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
        all.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text]);
    }
    return all; })()"""

# Things that can be pressed or written to, and how they lie in the window.
BOXES = """[...document.querySelectorAll('button, textarea, summary, #log')].map(e => {
    const r = e.getBoundingClientRect();
    return [e.id || e.tagName, r.left, r.top, r.right, r.bottom]; })"""


class Page(Case):
    """A browser for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        super().tearDownClass()

    def open(self):
        self.browser.size(1000, 620)
        self.browser.open(f"http://127.0.0.1:{self.server.port}/")
        self.browser.until(f"document.getElementById('model').textContent !== 'the model' || {STATUS}",
                           "the page finds no model")
        self.assertEqual(self.focused(), "text")

    def focused(self):
        return self.browser.run("document.activeElement.id || document.activeElement.tagName")

    def say(self, text):
        """Writes it, and waits for the answer's end."""
        self.browser.type(text)
        self.browser.key("Enter")
        self.browser.until(f"{IDLE} && {STATUS}", "no answer")
        return self.browser.run(ARTICLES)

    def problems(self):
        """What the browser itself complains about."""
        return [e["entry"] for e in self.browser.events.get("Log.entryAdded", [])
                if not e["entry"].get("url", "").endswith("/favicon.ico")] + \
            self.browser.events.get("Runtime.exceptionThrown", [])


class Talk(Page):
    def test_a_conversation_by_keyboard(self):
        b = self.browser
        self.open()
        self.assertIn("hearth", b.run("document.querySelector('h1').textContent"))
        b.run(WATCH)
        b.type("Set a timer")
        b.key("Enter", SHIFT)  # a line, and not the end of the message
        b.type("for ten minutes.")
        self.assertEqual(b.run(TEXT), "Set a timer\nfor ten minutes.")
        b.run("document.getElementById('temperature').value = 0")
        asked = self.say("")
        self.assertEqual(asked[0], ["You", "Set a timer\nfor ten minutes."])
        self.assertEqual(asked[1][0], "Model")
        self.assertRegex(asked[1][1].lower(), "ten|10")
        self.assertRegex(b.run(STATUS), r"^The answer is complete: \d+ tokens\.$")
        lengths = [n for n, busy in b.run("window.seen") if busy == "true"]
        self.assertEqual(lengths, sorted(lengths))
        self.assertEqual(b.run("document.querySelectorAll('[aria-busy]').length"), 0)
        self.assertEqual((self.focused(), b.run(TEXT)), ("text", ""))
        self.assertEqual(len(self.say("Thank you!")), 4)
        sent = [e["request"] for e in b.events["Network.requestWillBeSent"]
                if e["request"]["url"].endswith("completions")]
        self.assertEqual(sent[-1]["postData"].count('"role"'), 3)  # the conversation went along
        b.key("Enter")  # nothing was written
        self.assertEqual(len(b.run(ARTICLES)), 4)
        b.run("document.getElementById('clear').focus()")
        b.key("Enter")
        self.assertEqual((b.run(ARTICLES), self.focused()), ([], "text"))
        self.assertEqual(self.problems(), [])

    def test_what_an_answer_holds_stays_text(self):
        self.open()
        text = "<img id=bad src=x onerror=alert(1)> <b>& timers</b>"
        self.assertEqual(self.say(text)[0], ["You", text])
        self.assertIsNone(self.browser.run("document.querySelector('#log img, #log b')"))

    def test_nothing_comes_from_or_goes_elsewhere(self):
        b = self.browser
        with socket.create_server(("127.0.0.1", 0)) as other:
            elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}/"
            self.open()
            self.say("What can you do?")
            here = f"http://127.0.0.1:{self.server.port}/"
            for event in b.events["Network.requestWillBeSent"]:
                self.assertTrue(event["request"]["url"].startswith(here), event["request"])
            self.assertEqual(b.run("document.querySelectorAll('[src], [href]').length"), 0)
            # What somebody smuggled in could not reach out either.
            b.run("window.refused = []; document.addEventListener('securitypolicyviolation', "
                  "e => window.refused.push(e.effectiveDirective))")
            self.assertEqual(b.run(f"fetch('{elsewhere}').then(() => 'came', () => 'refused')"),
                             "refused")
            for tag in ("img", "script", "iframe"):
                b.run(f"{{ const e = document.createElement('{tag}'); e.src = '{elsewhere}'; "
                      "document.body.append(e); }")
            b.run(f"{{ const e = document.createElement('form'); e.action = '{elsewhere}'; "
                  "document.body.append(e); e.submit(); }")
            b.until("window.refused.length >= 5", "the policy was not kept")
            self.assertEqual(set(b.run("window.refused")),
                             {"connect-src", "img-src", "script-src-elem", "frame-src", "form-action"})
            other.settimeout(0.2)
            self.assertRaises(TimeoutError, other.accept)

    def test_the_server_goes(self):
        self.open()
        self.browser.run("window.fetch = () => Promise.reject(new TypeError('no connection'))")
        self.assertEqual(self.say("Hello there"), [])
        self.assertEqual(self.browser.run(f"[{STATUS}, {TEXT}]"), ["no connection", "Hello there"])
        self.browser.run("""window.fetch = () => Promise.resolve(new Response(
            'data: {"choices": [{"delta": {"content": "half"}}]}\\n\\n'))""")
        self.browser.key("Enter")
        self.browser.until(f"{STATUS}.includes('ended within')", "half an answer passes for a whole one")
        self.assertEqual(self.browser.run(ARTICLES), [["You", "Hello there"], ["Model", "half"]])


class Reading(Page):
    """What a screen reader, somebody who sees little, and a phone make of it."""

    def test_roles_and_names(self):
        b = self.browser
        self.open()
        self.say("What can you do?")
        nodes = b.tree()
        told = {(n["role"], n["name"]) for n in nodes}
        for role, name in (("heading", "Chat with hearth"), ("button", "New conversation"),
                           ("log", "Conversation"), ("textbox", "Message"), ("button", "Send"),
                           ("button", "Stop"), ("DisclosureTriangle", "Settings"),
                           ("article", "You"), ("article", "Model"), ("banner", ""), ("main", ""),
                           ("contentinfo", "")):
            self.assertIn((role, name), told)
        live = {n["role"]: n["live"] for n in nodes if n.get("live")}
        self.assertEqual(live, {"log": "polite", "status": "polite"})
        for n in nodes:
            self.assertTrue(n["name"] or not n.get("focusable"), f"can be reached, has no name: {n}")
        self.assertEqual([n["name"] for n in nodes if n.get("disabled")], ["Stop"])
        self.assertEqual(b.run("[document.documentElement.lang, document.title]"), ["en", "Chat - slm"])
        self.assertEqual(b.run("document.querySelectorAll('h1').length"), 1)
        self.assertIn("Escape stops", b.run("document.getElementById(document.getElementById('text')"
                                            ".getAttribute('aria-describedby')).textContent"))

    def test_the_order_of_the_keyboard(self):
        b = self.browser
        self.open()
        self.say("Hello")
        order = []
        for back in (True, True, True, False, False, False, False):
            b.key("Tab", SHIFT if back else 0)
            order.append(self.focused())
            outline = b.run("getComputedStyle(document.activeElement).outlineStyle")
            self.assertEqual(outline, "solid", f"{order[-1]} does not show that it has the focus")
        self.assertEqual(order, ["log", "clear", "SUMMARY", "clear", "log", "text", "send"])
        b.run("document.querySelector('summary').focus()")
        b.key("Enter")
        order = []
        for _ in range(3):
            b.key("Tab")
            order.append(self.focused())
        self.assertEqual(order, ["key", "system", "temperature"])
        names = {n["name"] for n in b.tree() if n["role"] in ("textbox", "spinbutton")}
        self.assertEqual(names, {"Key of the server", "System message", "Temperature", "Message"})

    def test_colours(self):
        self.addCleanup(self.browser.colours, "")
        for scheme in ("light", "dark"):
            self.browser.colours(scheme)
            self.open()
            self.say("What can you do?")
            seen = self.browser.run(CONTRAST)
            self.assertGreater(len(seen), 8)
            for ratio, text in seen:
                self.assertGreaterEqual(ratio, 4.5, f"{scheme}: {text!r}")

    def test_a_phone(self):
        b = self.browser
        self.open()
        self.say("W" * 200)  # a word without an end
        self.say("What can you do?")
        for width, height in ((360, 640), (320, 480), (640, 320)):
            b.size(width, height, mobile=True)
            wide = b.run("document.documentElement.scrollWidth")
            self.assertLessEqual(wide, width, "it has to be scrolled sideways")
            self.assertLessEqual(b.run("document.getElementById('log').scrollWidth"), width)
            for name, left, top, right, bottom in b.run(BOXES):
                self.assertTrue(0 <= left and right <= width and 0 <= top and bottom <= height,
                                f"{name} at {width}x{height}: {left} {top} {right} {bottom}")
                self.assertGreaterEqual(bottom - top, 40, f"{name} is hard to hit")


class Long(Page):
    """Answers that do not end by themselves."""

    OPTIONS = ("-c", 60000)

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.MODEL = long_context(HEARTH, cls.folder.name)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def begin(self):
        """An answer that has begun to come."""
        self.browser.type("Hello")
        self.browser.key("Enter")
        self.browser.until("document.querySelector('#log article:last-child').textContent.length > 40",
                           "no answer comes")
        length = self.browser.run("document.querySelector('#log article:last-child').textContent.length")
        self.browser.until("document.querySelector('#log article:last-child').textContent.length > "
                           f"{length}", "the text does not come piece by piece")
        self.assertEqual(self.browser.run(STATUS), "The model is answering.")
        self.assertEqual(self.focused(), "text")

    def stopped(self):
        self.browser.until(IDLE, "the answer goes on")
        self.until(lambda: self.metric("slm_requests_running") == 0, "the server goes on")

    def test_stop(self):
        b = self.browser
        self.open()
        b.run(ENDLESS)
        b.run("document.getElementById('temperature').value = 0")
        for way in ("Escape", "Stop"):
            with self.subTest(way):
                self.begin()
                self.assertEqual(self.metric("slm_requests_running"), 1)
                if way == "Escape":
                    b.key("Escape")
                else:
                    b.key("Tab")  # Send cannot be reached now
                    self.assertEqual(self.focused(), "stop")
                    b.key(" ")
                self.stopped()
                self.assertEqual(b.run(STATUS), "Stopped.")
                self.assertEqual(self.focused(), "text")
                text = b.run(ARTICLES)[-1][1]
                self.assertGreater(len(text), 20)  # what had come stays
                self.assertEqual(b.run(ARTICLES)[-1][1], text)

    def test_a_new_conversation_within_an_answer(self):
        b = self.browser
        self.open()
        b.run(ENDLESS)
        self.begin()
        b.run("document.getElementById('clear').click()")
        self.stopped()
        self.assertEqual(b.run(f"[{STATUS}, document.querySelectorAll('article').length]"),
                         ["A new conversation.", 0])
        self.begin()
        b.key("Escape")
        self.stopped()
        sent = [e["request"] for e in b.events["Network.requestWillBeSent"]
                if e["request"]["url"].endswith("completions")]
        self.assertEqual(sent[-1]["postData"].count('"role"'), 1)  # nothing of the one before

    def test_who_reads_above_is_left_there(self):
        b = self.browser
        self.open()
        b.run(ENDLESS)
        self.begin()
        b.until("document.getElementById('log').scrollTop > 200", "the end is not kept in sight")
        b.run("document.getElementById('log').scrollTop = 0")
        n = b.run("document.querySelector('#log article:last-child').textContent.length")
        b.until("document.querySelector('#log article:last-child').textContent.length > "
                f"{n} + 500", "no more comes")
        self.assertEqual(b.run("document.getElementById('log').scrollTop"), 0)
        b.key("Escape")
        self.stopped()


class Key(Page):
    """A server that wants a key."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        keys = Path(cls.folder.name, "keys")
        keys.write_text("sesame-open\n", encoding="utf-8")
        keys.chmod(0o600)
        cls.OPTIONS = ("--api-key-file", keys)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_the_key_is_given_in_the_settings(self):
        b = self.browser
        self.open()
        self.assertRegex(b.run(STATUS), "(?i)key")
        self.assertEqual(self.say("Hello"), [])
        self.assertEqual(b.run(TEXT), "Hello")  # given back
        b.run("document.querySelector('summary').focus()")
        b.key("Enter")
        b.key("Tab")
        self.assertEqual(self.focused(), "key")
        b.type("sesame-open")
        b.key("Tab")
        b.until("document.getElementById('model').textContent === 'hearth'", "the key is not taken")
        b.run("document.getElementById('text').focus()")
        self.assertEqual([who for who, _ in self.say("")], ["You", "Model"])
        self.assertNotIn("sesame", b.run("location.href + JSON.stringify([localStorage, document.cookie])"))


class Picture(Page):
    @unittest.skipUnless(os.environ.get("SLM_PICTURE"), "no picture is wanted")
    def test_picture(self):
        self.open()
        self.browser.run("document.getElementById('temperature').value = 0")
        self.browser.size(900, 520)
        for text in ("Set a timer for ten minutes.", "What can you do?",
                     "Please turn on the lamp in the study."):
            articles = self.say(text)
        self.assertEqual(len(articles), 6)
        Path(os.environ["SLM_PICTURE"]).write_bytes(self.browser.picture())


if __name__ == "__main__":
    if not browser.find():
        print("no Chromium: none of " + ", ".join(browser.NAMES) + " (SLM_CHROMIUM)", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else SKIP)
    main()
