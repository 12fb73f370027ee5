"""The rows of a page's reader: pairs and dropped records, each with all that there is to read.

A row is one object, with the same keys whatever it is:

    {"id": "…", "dropped": false, "decided": true, "prompt_id": "…", "prompt": [["user", "Hi"]],
     "source": "…", "split": "train", "responses": [{"policy": "…", "text": "…", "thoughts": null,
     "calls": []}, …], "a_is": "chosen", "margin": 0.5, …, "judgments": [{"judge": "…", …}],
     "rationales": [["In general", "…"]], "stage": null, "reason": null, …, "record": null}

Where it is `decided`, the first response is the chosen one, and a judgment's `preference` is
P(chosen ≻ rejected); else they are the responses a and b of a comparison, or of a record that names
fewer, all that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from prefdata.lineage.tables import Lineage
from prefdata.messages.chat_form import THOUGHT_KEYS

LONGEST = 20_000
"""The most characters of a text."""
PAIR_FIGURES = ("soft_label", "agreement", "flag", "strategy")
_SIDES = ("chosen", "rejected")
_IDS = (("chosen_id", "rejected_id"), ("response_a", "response_b"), ("response_id",))
"""The columns of a record that name its responses."""
_JUDGED = ("judge", "dimension", "annotator", "group", "unscored")
_RATIONALES = {"rationale": "Rationale", "rationale_specific": "Rationale, by what they say"}

Row = dict[str, Any]


class RunRows:
    """The rows of some prompts of a run.

    Args:
        lineage: The rows of these prompts in the run's tables.
    """

    def __init__(self, lineage: Lineage) -> None:
        tables = lineage.tables
        self._prompts = {row["prompt_id"]: row for row in tables["prompts"].to_dicts()}
        self._responses = {row["response_id"]: row for row in tables["responses"].to_dicts()}
        self._ches = {
            (row["chosen_id"], row["rejected_id"]): row for row in tables["ches"].to_dicts()
        }
        self._pairs = {
            row["pair_id"]: row
            for table in ("pairs", "augmented", "filtered")
            for row in tables[table].to_dicts()
        }
        self._judgments: dict[tuple[str, str], list[Row]] = {}
        for row in tables["judgments"].to_dicts():
            key = (row["response_a"], row["response_b"])
            self._judgments.setdefault(key, []).append(row)

    def make_pair(self, pair_id: str) -> Row:
        """The row of a pair."""
        pair = self._pairs[pair_id]
        row = self._begin(pair_id, pair["prompt_id"])
        return self._fill(row, pair["chosen_id"], pair["rejected_id"], pair)

    def make_dropped(self, dropped: Mapping[str, Any]) -> Row:
        """The row of a dropped record, with the pair or comparison that it is of, where it is of
        one, and that is known."""
        record = _parse(dropped["record"])
        row = self._begin("", dropped["origin"])
        row |= {
            "dropped": True,
            "record": cut(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
            if record
            else cut(dropped["record"]),
            **{key: dropped[key] for key in ("stage", "reason", "fault", "origin")},
            "detail": cut(dropped["detail"]),
        }
        pair = self._pairs.get(str(record.get("pair_id")), {})
        names = next((n for n in _IDS if all(record.get(each) for each in n)), ())
        ids = [str(record[name]) for name in names]
        known = {**record, **pair}
        if names[:1] == ("chosen_id",):
            return self._fill(row, ids[0], ids[1], known)
        if names[:1] == ("response_a",):
            row["judgments"] = [_turn(each, True) for each in self._find_judgments(*ids)]
        row["responses"] = [_take_response(self._responses.get(each, {})) for each in ids]
        if not ids and isinstance(record.get("text"), str):
            row["responses"] = [_take_response(record)]
        return row

    def _begin(self, name: str, prompt_id: str) -> Row:
        prompt = self._prompts.get(prompt_id, {})
        return {
            **EMPTY,
            "id": name,
            "prompt_id": prompt.get("prompt_id"),
            "source": prompt.get("source"),
            "split": prompt.get("split"),
            "prompt": [[turn["role"], cut(turn["content"])] for turn in prompt.get("messages", ())],
        }

    def _fill(self, row: Row, chosen: str, rejected: str, pair: Mapping[str, Any]) -> Row:
        chosen_is_a = chosen < rejected
        ches = self._ches.get((chosen, rejected), {})
        row |= {
            "decided": True,
            "a_is": _SIDES[0] if chosen_is_a else _SIDES[1],
            "responses": [
                _take_response(self._responses.get(each, {})) for each in (chosen, rejected)
            ],
            "margin": pair.get("margin"),
            **{key: pair.get(key) for key in PAIR_FIGURES},
            **{key: pair.get(key, ches.get(key)) for key in ("ches", "ches_normalized")},
            "rationales": take_rationales(pair),
        }
        ids = sorted((chosen, rejected))
        row["judgments"] = [_turn(each, chosen_is_a) for each in self._find_judgments(*ids)]
        return row

    def _find_judgments(self, response_a: str, response_b: str) -> list[Row]:
        return self._judgments.get((response_a, response_b), [])


EMPTY: Row = {
    **dict.fromkeys(("id", "prompt_id", "source", "split", "margin", "ches", "ches_normalized")),
    **dict.fromkeys(PAIR_FIGURES),
    **dict.fromkeys(("stage", "reason", "detail", "fault", "origin", "record", "a_is")),
    "dropped": False,
    "decided": False,
    "prompt": [],
    "responses": [],
    "judgments": [],
    "rationales": [],
}
"""A row about nothing: every key that a row has."""


def make_exported_row(exported: Mapping[str, Any], split: str) -> Row:
    """The row of a pair from a row of the export trl, alone: without transcripts."""
    turns = {side: [_parse_turn(turn) for turn in exported[side]] for side in ("prompt", *_SIDES)}
    return {
        **EMPTY,
        "id": exported["pair_id"],
        "decided": True,
        "prompt_id": exported["prompt_id"],
        "source": exported["source"],
        "split": split,
        "prompt": [[turn["role"], cut(_say(turn.get("content")))] for turn in turns["prompt"]],
        "responses": [
            {
                "policy": exported.get(f"{side}_policy"),
                "text": cut("\n\n".join(_say(turn.get("content")) for turn in turns[side])),
                "thoughts": cut_or_none(
                    next(
                        (
                            turn[key]
                            for turn in turns[side]
                            for key in THOUGHT_KEYS
                            if turn.get(key)
                        ),
                        None,
                    )
                ),
                "calls": [
                    cut(orjson.dumps(call).decode())
                    for turn in turns[side]
                    for call in turn.get("tool_calls") or ()
                ],
            }
            for side in _SIDES
        ],
        "margin": exported.get("reward_margin"),
        **{key: exported.get(key) for key in (*PAIR_FIGURES, "ches", "ches_normalized")},
        "rationales": take_rationales(exported),
        "judgments": [
            {
                **dict.fromkeys(("unscored", "chosen_first", "rejected_first", "trace")),
                **{key: value for key, value in judgment.items() if key != "spread"},
            }
            for judgment in exported.get("judgments") or ()
        ],
    }


def take_rationales(pair: Mapping[str, Any]) -> list[list[str]]:
    """The rationales of a pair: a title and a text each."""
    author = pair.get("rationale_author")
    by = f" (by {author})" if author else ""
    return [[f"{title}{by}", cut(pair[key])] for key, title in _RATIONALES.items() if pair.get(key)]


def cut(text: str) -> str:
    """The text, or its beginning with how long it is."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… [cut here: {len(text):,} characters in all]"


def cut_or_none(text: str | None) -> str | None:
    """`cut`, of a text that may not be there."""
    return None if text is None else cut(text)


def list_judges(rows: Iterable[Row]) -> set[str]:
    """The judges whose judgments the rows show."""
    return {each["judge"] for row in rows for each in row["judgments"]}


def _take_response(response: Mapping[str, Any]) -> Row:
    calls = response.get("tool_calls") or ()
    return {
        "policy": response.get("policy"),
        "text": cut(_say(response.get("text"))),
        "thoughts": cut_or_none(response.get("thoughts")),
        "calls": [cut(f"{call['name']}({call['arguments']})") for call in calls],
    }


def _turn(judgment: Mapping[str, Any], chosen_is_a: bool) -> Row:
    """A judgment of a comparison, of the chosen against the rejected response."""

    def face(p: float | None) -> float | None:
        return p if p is None or chosen_is_a else 1 - p

    orders = [face(judgment["forward"]), face(judgment["reverse"])]
    rewards = [judgment["reward_a"], judgment["reward_b"]]
    return {
        **{key: judgment[key] for key in _JUDGED},
        "preference": face(judgment["preference"]),
        **dict(
            zip(
                ("reward_chosen", "reward_rejected"),
                rewards[:: 1 if chosen_is_a else -1],
                strict=True,
            )
        ),
        **dict(
            zip(
                ("chosen_first", "rejected_first"), orders[:: 1 if chosen_is_a else -1], strict=True
            )
        ),
        "trace": cut_or_none(judgment["trace"]),
    }


def _parse(record: str) -> dict[str, Any]:
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(record)
        if isinstance(value, dict):
            return value
    return {}


def _parse_turn(turn: Any) -> Mapping[str, Any]:
    """A turn of an export: an object, or its JSON text."""
    return _parse(turn) if isinstance(turn, str) else turn


def _say(content: Any) -> str:
    return content if isinstance(content, str) else ""
