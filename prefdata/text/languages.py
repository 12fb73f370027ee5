"""The language that a text is in, by py3langid (the extra `language`), which contains its model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from prefdata.errors import ConfigError

Guesses = list[tuple[str, float]]
"""ISO 639-1 codes with their probabilities, the likeliest first."""


def rank_languages(text: str, among: tuple[str, ...] = ()) -> Guesses:
    """The languages that a text may be in; see `require_languages`.

    Args:
        text: The text.
        among: The codes that may occur; none: all that py3langid knows.
    """
    return [(str(code), float(p)) for code, p in _load_identifier(among).rank(text)]


def require_languages(codes: Iterable[str], where: str, asking: str) -> None:
    """Raise ConfigError unless py3langid is there and knows all of the codes.

    Args:
        codes: ISO 639-1 codes.
        where: The place in params that names them.
        asking: What needs them.
    """
    try:
        known = list_languages()
    except ImportError as error:
        raise ConfigError(
            f"{where}: {asking} needs py3langid",
            "Install the extra: pip install prefdata[language]",
        ) from error
    wrong = [code for code in codes if code not in known]
    if wrong:
        raise ConfigError(
            f"{where}: py3langid doesn't know {', '.join(wrong)}; known: {', '.join(known)}"
        )


def list_languages() -> list[str]:
    """The codes of the languages that py3langid knows. Raises ImportError where it is missing."""
    return [str(code) for code in _load_identifier(()).labels]


@cache
def _load_identifier(among: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))
    return identifier
