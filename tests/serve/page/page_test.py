"""The page of `fabula serve` in a headless Chromium, beside a real server and a really trained model.

usage: page_test.py PROGRAM [--run FOLDER] [--screenshots FOLDER]

Without --run a small two-level model is trained first, some seconds. Exit status 77: no browser is installed (skipped).
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from browser import Browser, PageError, find_program
from trained_server import Server, train_model

BEGINNING = "Once upon a time, there was a little girl named Lily."
DESK, PHONE = (1280, 800), (390, 844)


def expect(condition, what):
    if not condition:
        raise PageError("expected " + what)


class Scenario:
    """What a reader does, step by step; each step is a method, in this order."""

    def __init__(self, browser, server, screenshots):
        self.browser = browser
        self.server = server
        self.screenshots = screenshots

    def run(self):
        steps = [self.opens, self.streams, self.shows_both_levels, self.opens_another_group, self.walks_by_keys,
                 self.is_readable, self.stops, self.goes_on, self.survives_a_restart, self.survives_a_crash,
                 self.survives_a_reload, self.outgrows_the_context, self.keeps_settings, self.fits_a_phone,
                 self.forgets_a_story]
        for step in steps:
            began = time.monotonic()
            step()
            self.expect_no_problems(step.__name__)
            print(f"{step.__name__}: {time.monotonic() - began:.1f} s", flush=True)

    def expect_no_problems(self, step):
        # A text that outgrows the context is refused, and asked for again from its later half.
        refused = "400 (Bad Request) " + self.server.address + "v1/completions"
        problems = [problem for problem in self.browser.problems if not problem.endswith(refused)]
        expect(not problems, f"no console error in {step}, got {problems}")
        elsewhere = [url for url in self.browser.requests if not url.startswith((self.server.address, "data:"))]
        expect(not elsewhere, f"no request to elsewhere, got {elsewhere}")

    def picture(self, name):
        if self.screenshots:
            self.browser.screenshot(self.screenshots / f"serve-{name}.png")

    def state(self, wanted):
        self.browser.wait(f"document.querySelector('#health').dataset.state === '{wanted}'", what=f"state {wanted}")

    def tokens(self):
        return self.browser.evaluate("document.querySelectorAll('.token').length")

    def text(self, selector):
        return self.browser.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    def open(self):
        self.browser.open(self.server.address)
        self.browser.wait("document.querySelector('#model-name').textContent", what="the model's name")

    def set_seed(self, seed):
        self.browser.evaluate(f"""(() => {{
          const input = document.querySelector('#set-seed');
          input.value = '{seed}';
          input.dispatchEvent(new Event('input', {{bubbles: true}}));
        }})()""")

    def tell_long(self, seed):
        """A new story of more than 20 tokens: by chance one is too short to be looked into."""
        for seed in range(seed, seed + 9):
            self.set_seed(seed)
            self.browser.click("#prompt")
            self.browser.type(BEGINNING)
            self.browser.key("Enter", "\r")
            self.browser.wait("document.querySelectorAll('.token').length > 0", what="the first token")
            self.told()
            if self.tokens() > 20:
                break
            self.browser.click("#new")
        self.set_seed("")

    def told(self):
        self.browser.wait("!document.querySelector('#tell').hidden", what="the end of the story")

    def opens(self):
        self.browser.look(*DESK)
        self.open()
        expect(self.browser.evaluate("document.querySelector('#story').hidden"), "no story yet")
        with urllib.request.urlopen(self.server.address) as answer:
            policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
        expect("default-src 'none'" in policy and "unsafe" not in policy, f"a strict policy, got {policy}")
        expect("{{" not in page and "http://" not in page.replace("http://www.w3.org/", ""), "a page without holes or addresses")
        report = self.browser.evaluate("fetch(document.querySelector('#report').href).then((r) => r.status + r.headers.get('content-type'))")
        expect(report.startswith("200text/html"), f"the run's report, got {report}")
        self.browser.problems = [p for p in self.browser.problems if "Content Security Policy" not in p]

    def streams(self):
        # Each growth of the story is an event of its own: it came as a stream.
        self.browser.evaluate("""(() => {
          window.growths = [];
          new MutationObserver(() => {
            const count = document.querySelectorAll('.token').length;
            if (count !== window.growths.at(-1)) window.growths.push(count);
          }).observe(document.querySelector('#story'), {childList: true, subtree: true});
        })()""")
        self.tell_long(11)
        growths = self.browser.evaluate("window.growths")
        expect(len(growths) > 3, f"a story that grows, got {growths}")
        expect(self.text("#story").startswith(BEGINNING), "the prompt before what was told")
        expect("tokens/s" in self.text("#progress"), f"the speed, got {self.text('#progress')}")
        expect(self.browser.evaluate("document.querySelectorAll('.token.s1, .token.s2, .token.s3, .token.s4, .token.s5').length") > 0,
               "tokens that surprised the model")
        colour = "getComputedStyle(document.querySelector('.token.s2 .ink, .token.s3 .ink, .token.s1 .ink, .token.s4 .ink, .token.s5 .ink')).backgroundImage"
        coloured = self.browser.evaluate(colour)
        self.browser.click(".switch")
        expect(self.browser.evaluate(colour) != coloured, "no colours where the switch is off")
        self.browser.click(".switch")

    def pick(self, index):
        """Clicks a token; the panel's numbers."""
        self.browser.click(".token .ink", index)
        self.browser.wait("document.querySelector('#inside .facts') && document.querySelector('#inside').getAttribute('aria-busy') === 'false'",
                          what="what is inside the token")

    def shows_both_levels(self):
        answers = []
        for index in (self.tokens() // 2, 2, 5):
            self.pick(index)
            expect(self.browser.evaluate("document.querySelectorAll('#inside .level.first .row').length") > 1, "several groups")
            expect(self.browser.evaluate("document.querySelectorAll('#inside .level.second .row').length") > 0, "tokens of the group")
            expect(self.browser.evaluate("document.querySelectorAll('#inside .level.third .row').length") >= 10, "the joint top ten")
            for level in ("first", "third"):
                expect(self.browser.evaluate(f"document.querySelectorAll('#inside .level.{level} .row.picked').length") == 1,
                       f"the chosen one among {level}")
            answers.append(self.text("#inside .place .chip"))
        # The numbers themselves: the levels multiply to what the stream said of the token.
        worst = self.browser.evaluate("""(async () => {
          const story = JSON.parse(localStorage.getItem('fabula.stories'))[0];
          const {tokens, model} = story.parts[1];
          let worst = 0;
          for (const at of [0, 1, Math.floor(tokens.length / 2), tokens.length - 1]) {
            const request = {model, prompt: story.parts[0].text, tokens: tokens.slice(0, at).map(({id}) => id), token: tokens[at].id};
            const answer = await (await fetch('inspect', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(request)})).json();
            const own = answer.levels.classes.find((entry) => entry.class === answer.levels.class);
            worst = Math.max(worst, Math.abs(own.logprob + answer.levels.token_logprob - tokens[at].logprob),
              Math.abs(answer.token.logprob - tokens[at].logprob));
          }
          return worst;
        })()""")
        expect(worst < 1e-4, f"levels that multiply to the streamed log p, off by {worst}")

    def opens_another_group(self):
        place = """[...document.querySelectorAll('#inside .level.first button.row')]
          .findIndex((row) => !row.classList.contains('picked') && /\\+\\d/.test(row.textContent))"""
        found = -1
        for index in range(self.tokens()):  # of some tokens all likely classes are single tokens
            self.pick(index)
            found = self.browser.evaluate(place)
            if found >= 0:
                break
        expect(found >= 0, "a token with another likely group")
        before = self.text("#inside .level.second")
        self.browser.click("#inside .level.first button.row", found)
        expect(self.text("#inside .level.second") != before, "the other group's tokens")
        expect("not chosen" in self.text("#inside .level.second"), "that this group was not chosen")

    def walks_by_keys(self):
        self.pick(4)
        first = self.text("#inside .place")
        self.browser.evaluate("document.querySelector('.token.picked').focus()")
        self.browser.key("ArrowRight")
        self.browser.wait(f"document.querySelector('#inside .place').textContent !== {json.dumps(first)}", what="the next token")
        expect(self.browser.evaluate("document.activeElement.classList.contains('picked')"), "the focus on the picked token")
        self.browser.key("ArrowLeft")
        self.browser.wait(f"document.querySelector('#inside .place').textContent === {json.dumps(first)}", what="the token before")
        stops = self.browser.evaluate("document.querySelectorAll('.token[tabindex=\"0\"]').length")
        expect(stops == 1, f"one stop of the Tab key for all tokens, got {stops}")

    def is_readable(self):
        for name, size in (("desk", DESK), ("phone", PHONE)):
            for dark in (False, True):
                self.browser.look(*size, dark)
                faint = self.browser.evaluate(CONTRAST)
                expect(not faint, f"text that stands out ({name}, dark: {dark}), got {faint}")
        self.browser.look(*DESK)
        nameless = [node for node in self.browser.call("Accessibility.getFullAXTree")["nodes"]
                    if not node.get("ignored") and not node.get("name", {}).get("value")
                    and node.get("role", {}).get("value") in ("button", "textbox", "slider", "combobox", "switch", "tab", "link")]
        expect(not nameless, f"a name for every control, got {nameless}")

    def stops(self):
        self.browser.click("#new")
        self.browser.evaluate("""(() => {
          const story = document.querySelector('#story');
          new MutationObserver((_, observer) => {
            if (!story.querySelector('.token')) return;
            observer.disconnect();
            document.querySelector('#stop').click();
          }).observe(story, {childList: true, subtree: true});
        })()""")
        self.browser.click("#beginnings button")
        self.told()
        self.browser.wait("!!document.querySelector('#story .end')", what="why it ended")
        expect(self.text("#story .end") == "Stopped here.", f"a stopped story, got {self.text('#story .end')}")
        expect(0 < self.tokens() < 120, f"the few tokens that had come, got {self.tokens()}")

    def goes_on(self):
        before = self.text("#story .told")
        self.browser.click("#prompt")
        self.browser.type("Then")
        self.browser.click("#tell")
        self.told()
        own = self.browser.evaluate("[...document.querySelectorAll('#story .reader')].at(-1).textContent")
        expect(self.text("#story .told") == before and own.strip() == "Then", f"what was told, and the reader's own words behind it, got {own}")
        expect(self.browser.evaluate("document.querySelectorAll('#story .told').length") == 2, "a second continuation")
        last = self.browser.evaluate("[...document.querySelectorAll('#story .told')].at(-1).textContent")
        self.browser.click("#again")
        self.told()
        other = self.browser.evaluate("[...document.querySelectorAll('#story .told')].at(-1).textContent")
        expect(other != last, "another continuation")

    def survives_a_restart(self):
        story = self.text("#story")
        self.server.stop()
        self.state("gone")
        self.browser.wait("!document.querySelector('#notice').hidden", what="a message")
        expect("does not answer" in self.text("#notice p"), "that the server is gone")
        expect(self.text("#story") == story, "the story, kept")
        self.browser.click("#retry")
        self.server.start()
        self.state("ready")
        self.browser.wait("document.querySelector('#notice').hidden", what="no more message")
        self.browser.problems.clear()  # the browser notes requests that nobody answered
        self.browser.click("#tell")
        self.told()
        expect(len(self.text("#story")) > len(story), "a story that goes on")
        self.pick(0)

    def survives_a_crash(self):
        for _ in range(5):  # a fast machine may have told all before the blow
            self.browser.click("#new")
            self.browser.click("#beginnings button", 1)
            deadline = time.monotonic() + 60
            while self.tokens() == 0 and time.monotonic() < deadline:
                pass
            self.server.stop(kill=True)
            self.told()
            cut = self.browser.evaluate("document.querySelector('#story .end')?.textContent.startsWith('Cut off')")
            tokens = self.tokens()
            self.server.start()
            self.state("ready")
            self.browser.problems.clear()
            if cut:
                break
        expect(cut, "a story that was cut off")
        self.browser.click("#tell")
        self.told()
        expect(self.tokens() > tokens > 0, "a story that goes on behind what had come")

    def survives_a_reload(self):
        story = self.text("#story .told")
        self.open()
        expect(self.text("#story .told") == story, "the story, kept in the browser")
        self.browser.click("#tab-stories")
        expect(self.browser.evaluate("document.querySelectorAll('#stories li').length") >= 3, "the earlier stories")
        self.browser.click("#stories .open", 1)
        expect(self.text("#story .told") != story, "another story")
        self.browser.click("#stories .open", 0)
        expect(self.text("#story .told") == story, "the first one again")

    def outgrows_the_context(self):
        context = self.browser.evaluate("fetch('v1/models').then((r) => r.json()).then(({data}) => data[0].max_model_len)")
        expect(context > 0, f"the model's context, got {context}")
        self.browser.click("#new")
        self.browser.click("#prompt")
        self.browser.type("The cat saw the dog. " * (context // 4))
        self.browser.click("#tell")
        self.told()
        expect(self.browser.evaluate("document.querySelector('#notice').hidden"), f"no error, got {self.text('#notice p')}")
        expect(self.browser.evaluate("document.querySelectorAll('#story .cut').length") == 1, "where the model reads from")
        self.pick(0)
        expect(self.tokens() > 0, "a story that goes on")

    def keeps_settings(self):
        self.browser.click("#tab-settings")
        self.browser.evaluate("""(() => {
          const slider = document.querySelector('#set-max_tokens');
          slider.value = 3;
          slider.dispatchEvent(new Event('input', {bubbles: true}));
        })()""")
        self.set_seed("7x")
        texts = []
        for _ in range(2):
            self.open()
            expect(self.browser.evaluate("document.querySelector('#set-max_tokens').value") == "3", "the slider, kept")
            self.browser.click("#new")
            self.browser.click("#beginnings button", 2)
            self.told()
            texts.append(self.text("#story .told"))
            expect(self.tokens() <= 3, f"at most 3 tokens, got {self.tokens()}")
        expect(texts[0] == texts[1], f"one seed, one story, got {texts}")
        self.browser.click("#settings .button")
        expect(self.browser.evaluate("document.querySelector('#set-max_tokens').value") != "3", "the settings of the beginning")

    def fits_a_phone(self):
        self.browser.click("#new")
        self.tell_long(3572522157)
        for index in range(self.tokens() // 3, self.tokens()):  # one from a group shows most
            self.pick(index)
            if "single" not in self.text("#inside .level.first .row.picked"):
                break
        for name, size in (("desk", DESK), ("phone", PHONE)):
            for dark in (False, True):
                self.browser.look(*size, dark)
                self.browser.wait("document.documentElement.scrollWidth <= innerWidth", 5, f"no sideways scrolling on a {name}")
                if dark or name == "desk":
                    self.picture(f"{name}{'-dark' if dark else ''}")
        expect(self.browser.evaluate("getComputedStyle(document.querySelector('#panel')).position") == "fixed", "a sheet over the story")
        self.browser.key("Escape")
        expect(self.browser.evaluate("getComputedStyle(document.querySelector('#panel')).display") == "none", "no sheet")
        self.picture("phone-story")
        self.pick(1)
        visible = self.browser.evaluate("""(() => {
          const {top, bottom} = document.querySelector('.token.picked').getBoundingClientRect();
          return top > 0 && bottom < document.querySelector('#panel').getBoundingClientRect().top;
        })()""")
        expect(visible, "the token above the sheet that tells of it")
        self.browser.click("#close-panel")
        self.browser.look(*DESK)

    def forgets_a_story(self):
        self.browser.click("#tab-stories")
        before = self.browser.evaluate("document.querySelectorAll('#stories li').length")
        self.browser.click("#stories .quiet", 0)
        expect(self.browser.evaluate("document.querySelectorAll('#stories li').length") == before - 1, "one story less")
        expect(self.browser.evaluate("JSON.parse(localStorage.getItem('fabula.stories')).length") == before - 1, "one kept less")


# Visible texts whose contrast with what is behind them is below 4.5 (WCAG 2 AA), but for disabled controls.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const gradient = style.backgroundImage.match(/rgba?\\([^)]*\\)/);
      for (const colour of [gradient && at.classList.contains('ink') ? gradient[0] : null, style.backgroundColor]) {
        const value = colour && rgba(colour);
        if (value && value[3] === 255) return value;
      }
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true}) || element.closest(':disabled, script, style, .unseen, .skip')) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.add(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
  }
  return [...faint].join(', ');
})()"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--run", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    args = parser.parse_args()
    chromium = find_program()
    if not chromium:
        print("skipped: no Chromium is installed (Debian: apt-get install chromium)")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fabula_page_"))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # pipeline caches of this test alone
    server = None
    try:
        server = Server(args.program, args.run or train_model(args.program, folder), folder)
        server.start()
        with Browser(chromium) as browser:
            Scenario(browser, server, args.screenshots).run()
        print("all steps passed")
        return 0
    except PageError as error:
        print("failed:", error)
        if server and server.log.exists():
            print("the server said:\n" + server.log.read_text()[-4000:])
        return 1
    except subprocess.CalledProcessError as error:
        print("failed:", error, error.stderr.decode(errors="replace"))
        return 1
    finally:
        if server:
            server.stop(kill=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
