"""The words of a prompt: what finds it, in every script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.search import LONGEST, LONGEST_TEXT, asked, terms


def finds(q: str, prompt: str) -> bool:
    """Whether a query finds a prompt, as every database answers it."""
    return bool(asked(q)) and terms(prompt).issuperset(asked(q))


@pytest.mark.parametrize(
    ("q", "prompt"),
    [
        ("fox", "A red Fox, at dawn."),
        ("dawn fox", "A red fox at dawn"),
        ("CAFÉ", "a cafe"),
        ("cafe", "a cafe\u0301 by the sea"),
        ("strasse", "Nasse Straße"),
        ("STRASSE", "nasse straße"),
        ("smorrebrod", "smørrebrød"),
        ("istanbul", "İSTANBUL"),
        ("ıstanbul", "Istanbul"),
        ("pho da nang", "Phở ở Đà Nẵng"),
        ("ΣΙΣΥΦΟΣ", "ο Σίσυφος"),
        ("ёлка", "елка"),
        ("молоко", "моло\u0301ко"),
        ("محمد", "مُحَمَّد"),
        ("احمد", "أحمد"),
        ("محمد", "مـحـمـد"),
        ("שלום", "שָׁלוֹם"),
        ("हिन्दी", "यह हिन्दी है"),
        ("don't", "they don’t stop"),
        ("dont", "they don't stop"),
        ("eau", "l'eau bleue"),
        ("l'eau", "l’eau bleue"),
        ("fox", "the fox's tail"),
        ("golden-hour", "at golden hour"),
        ("golden hour", "golden-hour light"),
        ("goldenhour", "golden-hour light"),
        ("email", "an e-mail"),
        ("rock-n'-roll", "rock n roll"),
        ("snake case", "snake_case"),
        ("35mm", "on 35mm film"),
        ("3.5", "f/3.5"),
        ("16:9", "in 16:9"),
        ("4k", "４Ｋ映像"),
        ("👩", "👩\u200d🚀 on the moon"),
        ("👋🏽", "👋🏿"),
        ("🩷", "a heart 🩷"),  # of Unicode 15, which Python 3.11 does not know
        ("☀", "☀\ufe0f"),
        ("猫", "黒猫がいる"),
        ("東京", "夜の東京、雨"),
        ("夜の東京", "夜の東京、雨"),
        ("カメラ", "ｶﾒﾗが回る"),
        ("がぎ", "か\u3099き\u3099"),
        ("서울", "서울에서 밤"),
        ("สวัสดี", "สวัสดีครับ"),
        ("東京 neon", "neon夜の東京"),
        ("میخواهم", "می\u200cخواهم"),
    ],
)
def test_finds(q: str, prompt: str) -> None:
    assert finds(q, prompt)


@pytest.mark.parametrize(
    ("q", "prompt"),
    [
        ("fo", "a fox"),
        ("oxen", "an ox"),
        ("fox wolf", "a fox"),
        ("йод", "иод"),
        ("किताब", "कताब"),
        ("東京", "京東"),
        ("京都", "東京の都"),
        ("🚀", "👩"),
        ("がぎ", "かき"),
        ("model=m", "a plain prompt"),
        ("fox", ""),
    ],
)
def test_does_not_find(q: str, prompt: str) -> None:
    assert not finds(q, prompt)


@pytest.mark.parametrize("q", ["", "   ", "...!?", "—", "'-'", "\u200d", "=", "\x00", "\ud800"])
def test_nothing_to_look_for(q: str) -> None:
    assert asked(q) == ()
    assert terms(q) == frozenset()


def test_a_long_word_counts_by_its_beginning() -> None:
    assert max(map(len, terms("a" * 5000))) == LONGEST
    assert finds("a" * 4000, "a" * 5000)


def test_a_prompt_has_so_many_terms_at_the_most() -> None:
    assert len(terms("ﷺ" * 5000)) <= 2 * LONGEST_TEXT
    assert len(terms("".join(chr(0x4E00 + number) for number in range(5000)))) == 5000 + 4999


def test_a_query_asks_for_each_term_once() -> None:
    assert asked("fox Fox 東京 FOX") == ("fox", "東京")


def test_no_term_holds_what_the_index_tells_terms_apart_by() -> None:
    every = "".join(map(chr, range(0x3000)))
    assert not any(set(term) & set(" \n\x00=") or term != "".join(term.split()) for term in terms(every))


texts = st.text(
    st.one_of(
        st.sampled_from("aé ß-'’_.,猫東京のタイがสวั한ี हिन्दी ёйأَ🚀👩\u200d3½ﬁıİ\u0301\u0308"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
)


@given(texts)
def test_every_text_is_found_by_its_own_words(text: str) -> None:
    assert terms(text).issuperset(asked(text))
    for word in text.split():
        assert terms(text).issuperset(asked(word))


@given(st.text("猫東京のタイがวัส", min_size=1, max_size=20), st.data())
def test_a_text_without_spaces_is_found_by_any_part_of_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert finds(text[start:end], f"a {text}.")


@given(texts, texts)
def test_what_stands_around_a_text_hides_nothing(before: str, text: str) -> None:
    assert terms(f"{before}\n{text}") >= terms(text)


@given(texts)
def test_case_width_and_composition_make_no_difference(text: str) -> None:
    assert terms(unicodedata.normalize("NFD", text)) == terms(unicodedata.normalize("NFC", text))
    assert all(term == term.casefold() or not term.isascii() for term in terms(text))


@pytest.mark.parametrize("text", ["a-" * 2500, "'a" * 2500, "猫" * 5000, "e\u0301" * 2500, "a" + "\u0301" * 4999])
def test_a_prompt_made_to_be_hard_is_cut_like_any_other(text: str) -> None:
    # Where work grew with the square of it, the suite's own limit would end this.
    for _ in range(50):
        assert terms(text).issuperset(asked(text))
