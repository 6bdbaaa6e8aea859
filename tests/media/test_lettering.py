"""Words in any script are drawn with a font that has their letters, where there is one."""

from __future__ import annotations

import logging

import PIL.ImageFont
import pytest

from litescene.media import lettering
from litescene.media.drawing import Drawing, Words, text_width


@pytest.fixture(autouse=True)
def forgotten() -> None:
    lettering._file_with.cache_clear()


def mask(font: lettering.Font, text: str) -> bytes:
    return bytes(font.getmask(text))


def test_ascii_needs_no_font_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "FONTS", ())
    own = PIL.ImageFont.load_default(20)
    assert mask(lettering.font_for("car #3 {0.98}", 20), "car") == mask(own, "car")


@pytest.mark.parametrize("text", ["Straße", "naïve", "собака", "σκύλος"])
def test_letters_beyond_ascii_are_drawn_where_a_font_has_them(text: str) -> None:
    try:
        PIL.ImageFont.truetype("DejaVuSans.ttf", 20)
    except OSError:
        pytest.skip("the system lacks DejaVu Sans, which has these letters")
    font = lettering.font_for(text, 20)
    missing = mask(font, "\U0010ffff")
    assert all(mask(font, letter) != missing for letter in text)
    assert text_width(text, 20) == pytest.approx(font.getlength(text), rel=0.03)
    sheet = Drawing(200, 40, items=[Words(10, 30, text, 20, (0, 0, 0))])
    assert text in sheet.svg()


def test_letters_that_no_font_has_are_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lettering, "FONTS", ("no such font.ttf",))
    with caplog.at_level(logging.WARNING, "litescene"):
        for size in (12, 24):
            assert lettering.font_for("a\u72d7b", size) is lettering.font_for("ab", size)
    (record,) = caplog.records
    assert "all of the letters \u72d7, which are drawn as boxes" in record.getMessage()
