"""The page in a real browser: silent, alone, sortable, readable on a phone and in the dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dualbound.report.page import save_page
from dualbound.studies import Study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install it")
if CHROMIUM is None:
    pytest.skip("needs a Chromium: none of that name is on the path", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(real: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "real.html"
    save_page(real, path)
    return path


@pytest.fixture(scope="module")
def long_file(long: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "long.html"
    save_page(long, path)
    return path


@pytest.fixture
def look(browser: Any) -> Iterator[Any]:
    """Open a file; at the end, nothing may have gone wrong or been asked of a network."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def opened(path: Path, **how: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | how))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert len({url for url in asked if url.startswith("file:")}) == 1


def column(page: Any, table: str, name: str) -> list[str]:
    heads = [text.strip() for text in page.locator(f"#{table} thead th").all_inner_texts()]
    at = heads.index(name) + 1
    return page.locator(f"#{table} tbody td:nth-child({at})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_scrolls_sideways_and_all_is_seen(
    look: Any, file: Path, scheme: str, width: int
) -> None:
    page = look(file, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() > 0
    assert page.locator("svg").count() > 0
    for one in page.locator("img").all():
        assert one.get_attribute("alt")
        one.scroll_into_view_if_needed()
        assert one.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    for one in page.locator("svg").all():
        assert one.get_attribute("aria-label") or one.get_attribute("aria-hidden") == "true"


def contrast(page: Any, selector: str, of: str) -> float:
    """Between a colour of an element and the paper, as WCAG has it."""
    return page.evaluate(
        """([selector, of]) => {
          const shade = (text) => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => {
              v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const one = shade(getComputedStyle(document.querySelector(selector))[of]);
          const two = shade(getComputedStyle(document.body).backgroundColor);
          return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05); }""",
        [selector, of],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_can_be_read_in_both_themes(
    look: Any, long_file: Path, scheme: str
) -> None:
    page = look(long_file, color_scheme=scheme)
    for selector in ("body", ".command", "nav a", ".proof .open", "thead th button"):
        assert contrast(page, selector, "color") >= 4.5, selector
    assert contrast(page, "svg.drawn text", "fill") >= 4.5
    assert contrast(page, "#robustness .keys path", "stroke") >= 3


def test_the_button_changes_the_theme_and_the_figures_with_it(look: Any, file: Path) -> None:
    page = look(file, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('svg.drawn text')).fill"
    light = (page.evaluate(paper), page.evaluate(ink))
    button = page.get_by_role("button", name="Switch between light and dark")
    button.focus()
    page.keyboard.press("Enter")
    dark = (page.evaluate(paper), page.evaluate(ink))
    assert all(one != other for one, other in zip(light, dark, strict=True))
    button.click()
    assert (page.evaluate(paper), page.evaluate(ink)) == light


def test_tables_are_sorted_by_click_and_by_keyboard(look: Any, file: Path) -> None:
    page = look(file)
    head = page.locator("#answers th", has_text="value")
    assert head.get_attribute("aria-sort") == "none"

    def values() -> list[float]:
        found = [
            text.replace(",", "").replace("−", "-") for text in column(page, "answers", "value")
        ]
        return [float(text) for text in found if text != "–"]

    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(values())
    assert len(values()) > 5
    head.get_by_role("button").focus()
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == sorted(values(), reverse=True)
    missing = [value == "–" for value in column(page, "answers", "value")]
    assert missing == sorted(missing)
    page.locator("#answers th", has_text="series").get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "none"
    names = column(page, "answers", "series")
    assert names == sorted(names, key=str.lower)


@pytest.mark.slow
def test_a_long_table_is_folded_filtered_and_unfolded(look: Any, long_file: Path) -> None:
    page = look(long_file)
    rows = page.locator("#answers tbody tr")
    assert rows.count() == 25
    page.locator("#answers").get_by_role("searchbox").fill("dnn3 sample:17 ")
    page.locator("#answers output", has_text="of 800").wait_for()
    found = rows.all_inner_texts()
    assert found
    assert all("dnn3" in row and "sample:17" in row for row in found)
    page.locator("#answers").get_by_role("searchbox").fill("")
    page.locator("#answers .more button", has_text="Show all 800").click()
    assert rows.count() == 800
    page.locator("#answers .more button").click()
    assert rows.count() == 25


def test_the_first_key_offers_to_skip(look: Any, file: Path) -> None:
    page = look(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.slow
def test_print_is_light_and_whole(look: Any, long_file: Path) -> None:
    page = look(long_file, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#answers tbody tr").count() == 800
    assert page.locator("details:not([open])").count() == 0
    assert (
        page.locator("button:visible, input:visible, nav:visible").evaluate_all(
            "(all) => all.filter((one) => !one.closest('th')).length"
        )
        == 0
    )
    page.set_viewport_size({"width": 720, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#answers tbody tr").count() == 25


def test_it_is_whole_without_its_script(look: Any, file: Path, real: Study) -> None:
    page = look(file, java_script_enabled=False)
    assert page.locator("#answers tbody tr").count() == len(real.frame())
    assert page.locator("input:visible").count() == 0
