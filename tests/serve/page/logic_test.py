"""Runs logic_test.js in a headless Chromium. Exit status 77: no browser is installed (a skipped test)."""
import http.server
import pathlib
import sys
import threading

from browser import Browser, find_program

TESTS = pathlib.Path(__file__).resolve().parent
PAGE = TESTS.parents[2] / "src" / "serve" / "page"


class Files(http.server.SimpleHTTPRequestHandler):
    """The page's modules at /page, the test at /."""

    def translate_path(self, path):
        name = path.split("?")[0].lstrip("/")
        return str(PAGE / name[len("page/"):] if name.startswith("page/") else TESTS / name)

    def do_GET(self):
        if self.path != "/":
            return super().do_GET()
        page = b"<!doctype html><title>tests</title><script type=module src=/logic_test.js></script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def main():
    program = find_program()
    if not program:
        print("skipped: no Chromium is installed (Debian: apt-get install chromium)")
        return 77
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Browser(program) as browser:
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/")
        browser.wait("window.results || document.title !== 'tests'", 20, "the tests to be loaded")
        results = browser.evaluate("window.results")
    problems = [problem for problem in browser.problems if "favicon" not in problem]
    for failure in results["failures"] + problems:
        print(failure)
    print(f"{results['count']} tests, {len(results['failures'])} failed")
    return 1 if results["failures"] or problems or results["count"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
