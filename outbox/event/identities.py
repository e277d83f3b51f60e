"""Where a person stands in what is stored: in a body, or in the words of an error or an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from outbox.event.model import SERVER_ID

_OF_EVENT = ("properties", "url", "device_id", "session_id")
_OF_IDENTITY = ("unique_identifier", "email", "name")
"""Fields that tell of a person. The others are the application's: an identity that happens to be called like the project, or
`product`, must not concern every event."""


class Identities:
    """Identities of one person: the user's id, an e-mail address, whatever stands for them in bodies. Each is exact."""

    def __init__(self, given: Collection[str]) -> None:
        self.names = frozenset(given)
        self.spellings = sorted({spelling for each in given for spelling in (each, json.dumps(each)[1:-1])})
        """As they may be written in a text: bodies are ASCII JSON."""
        self._words = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in self.spellings))

    def are_in(self, body: str) -> bool:
        """Whether one of them is a value, or a key, of what the body tells of a person.

        Of the Event API's body that is the identity, the properties, the URL, and the ids of device and session; of any other
        JSON all of it. Of what is no JSON it is as for `are_told`.
        """
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return self.are_told(body)
        return any(text in self.names for text in _texts(_personal(parsed)))

    def are_told(self, text: str) -> bool:
        """Whether one of them stands in the text as a word of its own."""
        return self._words.search(text) is not None


def _personal(parsed: Any) -> Any:
    event = parsed.get("event") if isinstance(parsed, dict) else None
    if not isinstance(event, dict) or not {"name", "device_id", "session_id", "context"} <= event.keys():
        return parsed
    identity = parsed.get("identity")
    who = [identity.get(name) for name in _OF_IDENTITY] if isinstance(identity, dict) else []
    # What comes from no browser has the same ids for everybody.
    return [each for name in _OF_EVENT if (each := event.get(name)) != SERVER_ID] + who


def _texts(parsed: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included: maps by user are common."""
    ahead = [parsed]
    while ahead:
        value = ahead.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            ahead.extend(value.values())
        elif isinstance(value, list):
            ahead.extend(value)
