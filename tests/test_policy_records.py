"""Foreign text made fit to be recorded."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outbox.policy import ERROR_BYTES, RESPONSE_BYTES, clean
from outbox.schema import ERROR_LENGTH, RESPONSE_LENGTH

ANY_TEXT = st.text(st.characters())  # every code point, surrogates included


def test_the_limits_are_those_of_the_columns() -> None:
    """What the policy lets through fits into the tables."""
    assert (ERROR_BYTES, RESPONSE_BYTES) == (ERROR_LENGTH, RESPONSE_LENGTH)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain words, Zürich, 東京, 🎉\n\tand lines\r\n", "plain words, Zürich, 東京, 🎉\n\tand lines\r\n"),
        ("a\0b", "ab"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("\x1b[31mred\x07\x7f\x9b", "\ufffd[31mred\ufffd\ufffd\ufffd"),
        (b"caf\xc3\xa9 \xff\xfe", "café \ufffd\ufffd"),
        (b"\x1f\x8b\x08\0", "\ufffd\ufffd\ufffd"),
        ("", ""),
        (b"", ""),
    ],
)
def test_what_is_replaced(text: str | bytes, cleaned: str) -> None:
    """Readable text stays as it is; what a database or a terminal stumbles over does not."""
    assert clean(text, 100) == cleaned


@pytest.mark.parametrize(
    ("limit", "cut"), [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (5, "aé"), (6, "aé€"), (10, "aé€🎉")]
)
def test_a_cut_keeps_characters_whole(limit: int, cut: str) -> None:
    """The limit is in bytes of UTF-8, and no character is split."""
    assert clean("aé€🎉", limit) == cut


@given(ANY_TEXT | st.binary(), st.integers(0, 60))
@example("\ud83d\ude00", 60)
@example(b"\xed\xa0\x80\xf0\x9f", 60)
def test_the_result_is_always_fit(text: str | bytes, limit: int) -> None:
    """Whatever comes in, the result is valid UTF-8 within the limit, free of controls, and clean already."""
    result = clean(text, limit)
    assert len(result.encode("utf-8")) <= limit
    assert not any(ord(each) < 32 and each not in "\t\r\n" for each in result)
    assert not any(0x7F <= ord(each) <= 0x9F for each in result)
    assert clean(result, limit) == result
