"""The page as a person uses it, in a real Chromium."""

import base64
import hashlib
import json
import re

import pytest

from tests.support.colours import publish_colours
from tests.support.contrast import CONTRAST
from tests.support.documents import LAYERS
from tests.support.images import plain
from tests.support.process import serving
from tests.support.waiting import until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
PICTURES = [{"name": f"{colour}.png", "mimeType": "image/png", "buffer": plain(colour)} for colour in ("red", "blue")]
OUTLINE = """
() => {
  const node = document.activeElement;
  const inDrop = node.matches(".drop input");
  const shown = inDrop ? node.parentElement : node.type === "radio" ? node.nextElementSibling : node;
  return getComputedStyle(shown).outlineStyle;
}
"""
NAMELESS = """
() => [...document.querySelectorAll("input, select, button, a, summary, [role=img], [role=region], img")]
  .filter((node) => node.checkVisibility() && !node.closest("[hidden]"))
  .filter((node) => !(node.labels?.length || node.textContent.trim() || node.ariaLabel || node.hasAttribute("alt")))
  .map((node) => node.outerHTML)
"""


def choose(page, pictures=PICTURES):
    page.set_input_files("#files", pictures)
    for picture in pictures:
        answered(page, picture["name"])


def answered(page, name):
    found = page.locator("#results > li:not([aria-busy])", has_text=name)
    found.locator(".timing, .error").first.wait_for()
    return found


def tops(page):
    return page.locator("#results .classes .top .label").all_inner_texts()


def test_chosen_pictures_get_classes_times_and_a_batch(page):
    choose(page)
    assert tops(page) == ["blue", "red"]
    answer = answered(page, "red.png")
    assert answer.locator(".classes li").count() == 3
    figures = [float(re.search(r"[\d.]+", text)[0]) for text in answer.locator(".figure").all_inner_texts()]
    assert figures == sorted(figures, reverse=True)
    assert sum(figures) == pytest.approx(100, abs=0.3)
    times = answer.locator(".timing").inner_text()
    assert all(re.search(rf"{phase} [\d.]+ ms", times) for phase in ("decode", "queue", "inference", "total"))
    assert re.search(r"alone in its batch|in a batch of [2-9]", times)


def test_a_bar_is_as_long_as_its_probability(page):
    choose(page, PICTURES[:1])
    bar, track = (page.locator(f".classes .top {part}").bounding_box() for part in (".track span", ".track"))
    share = float(re.search(r"[\d.]+", page.locator(".classes .top .figure").inner_text())[0]) / 100
    assert bar["width"] / track["width"] == pytest.approx(share, abs=0.02)


def test_a_figure_stays_on_one_line(page):
    choose(page, PICTURES[:1])
    figure = page.locator(".classes .top .figure")
    figure.evaluate("node => node.textContent = '> 99.9 %'")
    assert figure.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert figure.evaluate("node => node.clientHeight < 2 * parseFloat(getComputedStyle(node).fontSize)")


def test_the_classes_and_the_input_of_a_model_are_told(page):
    facts = page.locator("#facts").inner_text()
    assert "red, green, blue" in facts
    assert "8 × 8 pixels, colour" in facts


def test_a_version_without_documents_is_asked_for_none(page):
    page.select_option("#model", "other")  # a 404 in the console would fail the test
    sync_api.expect(page.locator("#spectrum")).to_contain_text("brings no spectrum")
    sync_api.expect(page.locator("#card-details")).to_be_hidden()
    sync_api.expect(page.locator("#report-panel")).to_be_hidden()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_are_dropped_or_pasted(page, way):
    page.evaluate(
        """([way, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "green.png", { type: "image/png" }));
          const event = way === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
          document.getElementById("drop").dispatchEvent(event);
        }""",
        [way, base64.b64encode(plain("green")).decode()],
    )
    answered(page, "green.png")
    assert tops(page) == ["green"]


@pytest.mark.complains("415")
def test_what_is_no_picture_is_told_and_may_be_tried_again(page):
    choose(page, [{"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}])
    assert "image" in page.locator("#results .error").inner_text()
    page.get_by_role("button", name="Try notes.png again").click()
    answered(page, "notes.png")
    choose(page, PICTURES[:1])
    assert tops(page) == ["red"]


def test_results_are_announced_once_settled(page):
    status = page.get_by_role("status")
    choose(page, PICTURES[:1])
    assert re.fullmatch(r"red\.png: red, [<> \d.]+ %", status.inner_text())


def test_another_model_and_another_version_are_asked(page):
    assert page.locator("#model").input_value() == "colours"
    page.get_by_role("combobox", name="Version").select_option("1")
    choose(page, PICTURES[:1])
    page.get_by_role("combobox", name="Model").select_option("other")
    sync_api.expect(page.locator("#version option")).to_have_count(2)
    page.get_by_role("button", name="Ask again").click()
    page.locator("#results .file", has_text="other 1").wait_for()


def test_a_broken_version_cannot_be_chosen_and_says_why(page):
    assert page.locator("#version option[value='2']").is_disabled()
    assert "Version 2 is left out" in page.locator("#reason").inner_text()


def test_clearing_takes_everything_away(page):
    choose(page)
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#results li").count() == 0
    assert page.locator("#tools").is_hidden()


def test_the_meters_follow_the_traffic(page, address):
    meters = page.locator("#live strong")
    meters.first.wait_for()
    # They show what changed from one look to the next, within the last seconds: so there is traffic until they do.
    until(
        lambda: (
            page.request.post(f"{address}/v1/classify", data=PICTURES[0]["buffer"]) and all(map(counts, meters.all()))
        )
    )


def counts(meter):
    return re.search(r"\d", meter.inner_text())


def test_the_spectrum_shows_every_frequency_of_every_layer(page):
    tiles = page.locator("#spectrum .tiles li")
    tiles.first.wait_for()
    assert tiles.count() == len(LAYERS)
    heat = [float(cell.get_attribute("fill-opacity")) for cell in tiles.first.locator(".heat").all()]
    assert heat == pytest.approx([1, 0.6, 0.4])
    page.get_by_role("radio", name="Energy").check()
    assert page.locator("#spectrum .tiles .heat").nth(2).get_attribute("fill-opacity") == "1.000"
    page.get_by_text("As a table").click()
    sync_api.expect(page.locator("#spectrum tbody tr")).to_have_count(6)


def test_a_card_is_shown_as_text_whatever_it_says(page):
    page.get_by_text("Model card").click()
    card = page.locator("#card")
    assert card.locator("em").inner_text() == "strongest"
    assert card.locator("td").all_inner_texts() == ["top-1", "100 %"]
    assert [link.get_attribute("href") for link in card.locator("a").all()] == ["https://example.org/paper"]
    assert card.locator("img, script").count() == 0
    assert "onerror=" in card.inner_text()
    assert page.title() == "Harmonic"


@pytest.mark.complains("Content Security Policy")
@pytest.mark.complains("requires 'Trusted")
def test_the_content_policy_stops_a_script_that_got_in(page):
    stopped = page.evaluate(
        """() => {
          const script = document.createElement("script");
          try { script.textContent = "document.title = 'trapped'"; document.body.append(script); } catch {}
          try { document.body.insertAdjacentHTML("beforeend", "<p>trapped</p>"); return false; } catch { return true; }
        }"""
    )
    assert stopped
    assert page.title() == "Harmonic"


def test_the_keyboard_is_enough(page):
    page.get_by_text("As a table").wait_for()  # the last to come; a key before it would leave the page
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert page.evaluate(OUTLINE) != "none", seen[-1]
        if seen[-1] == "As a table":
            break
    assert [name for name in seen if name in {"model", "version", "files", "Model card", "As a table"}] == [
        "model",
        "version",
        "files",
        "Model card",
        "As a table",
    ]


def test_every_control_and_picture_has_a_name(page):
    choose(page)
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_stands_out_from_its_ground(page):
    choose(page)
    page.get_by_text("Model card").click()
    assert page.evaluate(CONTRAST) == []


def test_light_and_dark_differ(browser, address):
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(address)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert len(set(grounds)) == 2


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_needs_no_sideways_scrolling(page):
    long = [{**PICTURES[0], "name": "a-long-name-without-an-end-" * 8 + ".png"}]
    choose(page, long)
    page.get_by_text("Model card").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_flood_of_pictures_is_answered_in_order_of_arrival(page):
    many = [{**PICTURES[n % 2], "name": f"{n:02}.png"} for n in range(30)]
    choose(page, many)
    assert tops(page) == ["blue", "red"] * 15


def test_a_service_that_wants_a_key_is_asked_with_one(browser, tmp_path):
    publish_colours(tmp_path / "models")
    secret = "hk_a-key-for-this-test-only"
    keys = json.dumps([{"name": "page", "sha256": hashlib.sha256(secret.encode()).hexdigest()}])
    with serving(tmp_path / "models", keys=keys) as (url, _):
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("This service asks for an API key").fill(secret)
        page.get_by_role("button", name="Use it").click()
        page.locator("#facts dd").first.wait_for()
        choose(page, PICTURES[:1])
        assert tops(page) == ["red"]
        assert page.locator("#key-form").is_hidden()
        page.close()
