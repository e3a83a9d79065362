"""The page of scores in a real browser: it draws, plays, and asks nothing of a network."""

import pytest

pytestmark = pytest.mark.long
COMPLAINTS = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


def test_page_renders_players_have_sound_and_no_request_leaves(scored, browser):
    browser.resize(1280, 900)
    browser.open(scored / "report.html")
    browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    players = "[...document.querySelectorAll('audio')]"
    browser.wait(f"{players}.every((player) => player.duration > 0)")
    assert browser.evaluate(f"{players}.length") == 40
    assert browser.evaluate(f"Math.max(...{players}.map((p) => p.duration))") == pytest.approx(6)
    pictures = "[...document.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth)"
    assert browser.evaluate(pictures)
    assert browser.evaluate("document.querySelectorAll('.bars').length") == 4
    drawn = "[...document.querySelectorAll('.bars')].every((p) => p.getBBox().width > 2)"
    assert browser.evaluate(drawn)
    asked = [e["request"]["url"] for method, e in browser.events if method.endswith("WillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [
        (scored / "report.html").as_uri()
    ]
    assert [event for event in browser.events if event[0] in COMPLAINTS] == []


def test_scatter_draws_what_is_chosen(scored, browser):
    browser.open(scored / "report.html")
    points = "document.querySelectorAll('#scatter circle').length"
    choose = """(() => {{
        const select = document.querySelector('#scatter [name={}]');
        select.value = '{}';
        select.dispatchEvent(new Event('change'));
    }})()"""
    assert browser.evaluate(points) == 23
    browser.evaluate(choose.format("d", "speech"))
    assert browser.evaluate(points) == 11
    browser.evaluate(choose.format("y", "0"))
    places = "[...document.querySelectorAll('#scatter circle')].map((c) => c.cx.baseVal.value"
    assert browser.evaluate(f"{places} / 640 + c.cy.baseVal.value / 360)") == pytest.approx(
        [1] * 11, abs=1e-6
    )
    title = browser.evaluate("document.querySelector('#scatter circle title').textContent")
    assert title.startswith("two, speech_")
    assert [event for event in browser.events if event[0] in COMPLAINTS] == []


def test_the_button_changes_sides(scored, browser):
    browser.open(scored / "report.html")
    paused = "[...document.querySelectorAll('audio')].slice(0, 2).map((p) => p.paused)"
    browser.evaluate("document.querySelectorAll('audio').forEach((p) => { p.loop = true })")
    browser.evaluate("document.querySelector('audio').play()")
    browser.wait(f"String({paused}) == 'false,true'")
    browser.evaluate("document.querySelector('.clip button').click()")
    browser.wait(f"String({paused}) == 'true,false'")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_width_or_colour_scheme_makes_the_page_overflow(scored, browser, width, dark):
    browser.resize(width, 800, dark)
    browser.open(scored / "report.html")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
