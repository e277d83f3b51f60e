"""What errors have in common: their text without what differs from message to message."""

from __future__ import annotations

import re

GONE = "#"
"""Stands for an id, a number, an address, a time."""

LONGEST = 300
"""Characters of a fingerprint. Recorded errors are cut at 500 bytes: where, depends on how long their ids are."""

# One pass from left to right. Each alternative begins where a look back lets it, and can match in one way only: the time
# is linear in the text, whatever it is. The look back that all share saves a third (measured).
_VARIABLE = re.compile(
    r"""
    (?<! [^\W_] ) (?: # nothing begins within a word
      (?P<kept> HTTP [ /] \d (?: \d\d | \.\d ) \b )                             # a status is part of the cause
    | (?<! \w ) (?P<quote> ['"`] ) [^'"`\s\d]* \d [^'"`\s]* (?P=quote) (?! \w ) # a quoted id
    | (?<! [\w.+-] ) [\w.+-]{1,64} @ [\w-]+ (?: \.[\w-]+ )+                     # an e-mail address
    | [0-9a-f]{8} - (?: [0-9a-f]{4} - ){3} [0-9a-f]{12} (?! [^\W_] )           # a UUID
    | (?: [0-9a-f]{8,} | (?= [a-f]* \d ) [0-9a-f]{6,7} ) (?! [^\W_] )          # other hex
    | (?<! [\w:] ) (?= :{0,2} [0-9a-f] ) (?: [0-9a-f]{0,4} : ){2,7} [0-9a-f]{0,4} (?! [\w:] )  # IPv6, a time of day
    | (?<! [\w-] ) (?= [\w-]{16} ) (?= [\w-]*? \d ) (?-i: (?= [\w-]*? [a-z] ) (?= [\w-]+? [A-Z] ) ) [\w-]+  # a random id
    | (?P<word> [^\W\d_]* ) (?P<rest> \d [^\W_]* )                              # whatever else has a digit
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SEVERAL = re.compile(r"#(?:[-_.:,/+]#)+")


def fingerprint(error: str) -> str:
    """The error with `#` for ids, numbers, addresses and times: messages that failed alike have the same one.

    An HTTP status stays. So do letters before a number: `order-17` and `user18` are `order-#` and `user#`. An id without
    any digit looks like a word, and stays, too.
    """
    found = _SEVERAL.sub(GONE, _VARIABLE.sub(_replacement, error))
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 1]}…"


def _replacement(found: re.Match[str]) -> str:
    if found.lastgroup == "kept":
        return found[0]
    # Letters and then digits: a word and a number. Letters again behind them: an id, all of it.
    return f"{found['word']}{GONE}" if found.lastgroup == "rest" and found["rest"].isdigit() else GONE
