"""The page in a real browser: it renders, every player plays, nothing is asked of a network."""

import pytest

pytestmark = pytest.mark.long


def test_page_renders_players_have_sound_and_no_request_leaves(demo, browser):
    browser.resize(1280, 900)
    browser.open(demo / "report.html")

    players = "[...document.querySelectorAll('audio')]"
    browser.wait(f"{players}.every((player) => player.duration > 0)")
    seconds = browser.evaluate(f"{players}.map((player) => player.duration)")
    assert seconds == pytest.approx([0.375, 0.375, 0.680272, 0.680272], abs=0.001)
    pictures = "[...document.querySelectorAll('img')].map((i) => i.complete && i.naturalWidth > 0)"
    assert browser.evaluate(pictures) == [True] * 4
    outlines = "[...document.querySelectorAll('.waveform path')].map((p) => p.getBBox().width > 0)"
    assert browser.evaluate(outlines) == [True] * 4

    asked = [e["request"]["url"] for method, e in browser.events if method.endswith("WillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [
        (demo / "report.html").as_uri()
    ]
    complaints = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert [event for event in browser.events if event[0] in complaints] == []


def test_one_player_at_a_time_and_the_button_changes_sides(demo, browser):
    browser.open(demo / "report.html")
    paused = "[...document.querySelectorAll('audio')].map((player) => player.paused)"
    playing = "document.querySelectorAll('audio')[{}].play()"
    browser.evaluate("document.querySelectorAll('audio').forEach((p) => { p.loop = true })")

    browser.evaluate(playing.format(2))
    browser.evaluate(playing.format(0))
    browser.wait(f"String({paused}) == 'false,true,true,true'")
    browser.evaluate("document.querySelector('.clip button').click()")
    browser.wait(f"String({paused}) == 'true,false,true,true'")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_width_or_colour_scheme_makes_the_page_overflow(demo, browser, width, dark):
    browser.resize(width, 800, dark)
    browser.open(demo / "report.html")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(background.removeprefix("rgb(").partition(",")[0])
    assert red < 50 if dark else red > 200
