"""The site is built strictly, has all public names, and asks nobody else for anything."""

import functools
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("material")

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "espnet2.gan_codec.bscodec"
IMPORT = re.compile(r"^from (espnet2\.gan_codec[\w.]*) import (.+)$", flags=re.M)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


class Loaded(HTMLParser):
    """Addresses that a browser would load for a page by itself."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("img", "script", "iframe", "source", "audio", "video"):
            self.found.append(values.get("src"))
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.found.append(values.get("href"))


def test_no_page_loads_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for address in filter(None, Loaded(text).found):
            assert not re.match(r"(https?:)?//", address), (page.name, address)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8"))


def test_a_link_that_leads_nowhere_fails_the_build(site, tmp_path, caplog):
    sys.path.insert(0, str(ROOT / "docs/site"))
    try:
        links = import_module("links")
    finally:
        sys.path.remove(str(ROOT / "docs/site"))
    there = {"index.md": "README.md"}
    rewrite = functools.partial(links.rewritten, root=ROOT, elsewhere=there, repo_url=None)
    page = {"home": "docs/coding.md", "uri": "coding.md"}
    assert rewrite("[a](../README.md#x)", **page) == "[a](index.md#x)"
    assert rewrite("[a](../LICENSE)", **page) == "a"
    assert rewrite("```\n[a](../LICENSE)\n```\n", **page) == "```\n[a](../LICENSE)\n```\n"
    assert not caplog.records
    rewrite("[a](../NOTHING.md)", **page)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].name.startswith("mkdocs.")


def public_names():
    """What ``__all__`` promises and what pages import."""
    for module in (PACKAGE, f"{PACKAGE}.tokens", "espnet2.gan_codec.scoring.report"):
        yield from ((module, name) for name in import_module(module).__all__)
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for module, names in IMPORT.findall(page.read_text(encoding="utf-8")):
            yield from ((module, name.strip()) for name in names.split(","))


def test_every_public_name_is_in_the_api_reference(site):
    pages = "".join(p.read_text(encoding="utf-8") for p in (site / "api").glob("*.html"))
    anchors = {name.rpartition(".")[2] for name in re.findall(r'id="(espnet2\.[\w.]+)"', pages)}
    names = list(public_names())
    assert len(names) > 8
    for module, name in names:
        assert name in anchors, f"{module}.{name}"


def test_the_configuration_has_every_key_and_its_meaning(site):
    import dataclasses

    from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
    from espnet2.gan_codec.bscodec.training.augmentation import AugmentConfig

    page = (site / "reference/configuration.html").read_text(encoding="utf-8")
    rows = dict(re.findall(r"<td><code>(\w+)</code></td>.*?<td>([^\n]*)</td>\n</tr>", page, re.S))
    for field in (*dataclasses.fields(GeneratorConfig), *dataclasses.fields(AugmentConfig)):
        assert rows[field.name], field.name
    assert "one of stft, mdct" in page and "one of seanet, spectral" in page


def test_the_commands_have_every_option(site):
    import html

    from espnet2.bin.bscodec import COMMANDS
    from espnet2.gan_codec.bscodec.cli.examples import EXAMPLES

    page = (site / "reference/commands.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    for name in COMMANDS:
        assert f"bscodec {name}" in text
        assert all(line in text for _, line in EXAMPLES[name])
    for option in ("--max-hz HZ", "--salvage", "--cluster WHERE", "--peer CODEC:KBPS"):
        assert option in text


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_pages_have_the_same_parts_as_where_they_are_read_as_files(site):
    """Lists and tables, by the rules of GitHub and by those of the site."""
    markdown_it = pytest.importorskip("markdown_it")
    render = markdown_it.MarkdownIt("commonmark").enable("table").render
    for path in sorted((ROOT / "docs").glob("*.md")):
        page = (site / path.name).with_suffix(".html").read_text(encoding="utf-8")
        article = page.partition("<article")[2].partition("</article>")[0]
        there = render(path.read_text(encoding="utf-8"))
        for tag in ("li", "tr", "h2", "h3", "pre", "strong", "img"):
            counts = [len(re.findall(rf"<{tag}[ >]", html)) for html in (article, there)]
            assert counts[0] == counts[1], f"{path.name}: <{tag}>"


def test_in_a_browser_nothing_fails_and_search_finds(site, browser):
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}/"
        for page in ("index", "how_it_works", "api/codec", "reference/configuration"):
            browser.call("Page.navigate", url=f"{home}{page}.html")
            browser.wait(
                f"document.readyState == 'complete' && location.href == '{home}{page}.html'"
            )
            broken = "[...document.images].filter(i => !i.naturalWidth).length"
            assert browser.evaluate(broken) == 0, page
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert not browser.evaluate(wide), page
        query = "document.querySelector('[data-md-component=search-query]')"
        browser.evaluate(f"{query}.focus()")
        browser.evaluate(f"{query}.value = 'salvage'; {query}.dispatchEvent(new Event('keyup'))")
        browser.wait("document.querySelectorAll('.md-search-result__item').length > 0")
        requests = [p["request"]["url"] for m, p in browser.events
                    if m == "Network.requestWillBeSent"]  # fmt: skip
        server.shutdown()
    assert all(url.startswith((home, "data:", "blob:")) for url in requests), requests
    faults = [params for method, params in browser.events
              if method in ("Runtime.exceptionThrown", "Log.entryAdded")]  # fmt: skip
    assert faults == []
