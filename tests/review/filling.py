"""People's answers in the forms in which Argilla and Label Studio export them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Given = Mapping[str, Any]
"""An answer: who (annotator), choice (first, second, tie or none) and, where it has them, why and
status (submitted, draft or discarded)."""


def fill_argilla(records: Sequence[Mapping[str, Any]], given: Mapping[str, list[Given]],
                 flat: bool = True) -> list[dict[str, Any]]:  # fmt: skip
    """The records with the answers to each id, as `to_list(flatten=flat)` has them."""
    rows = []
    for record in records:
        answers = given.get(record["id"], [])
        row: dict[str, Any] = {"id": record["id"], "status": "pending", "_server_id": "s"}
        questions = {"better": "choice", "why": "why"}
        if not flat:
            said = {
                question: [{"value": a[name], "user_id": str(a["who"])}
                           for a in answers if a.get(name)]
                for question, name in questions.items()
            }  # fmt: skip
            shared = {name: record[name] for name in ("fields", "metadata", "suggestions")}
            rows.append({**row, **shared, "vectors": {},
                         "responses": {q: all_ for q, all_ in said.items() if all_}})  # fmt: skip
            continue
        row |= {**record["fields"], **record["metadata"]}
        for question, name in questions.items():
            there = [a for a in answers if a.get(name)]
            row[f"{question}.responses"] = [a[name] for a in there] or None
            row[f"{question}.responses.users"] = [str(a["who"]) for a in there] or None
            status = [a.get("status", "submitted") for a in there]
            row[f"{question}.responses.status"] = status or None
        rows.append(row)
    return rows


def fill_label_studio(tasks: Sequence[Mapping[str, Any]], given: Mapping[str, list[Given]],
                      minimal: bool = False) -> list[dict[str, Any]]:  # fmt: skip
    """The tasks with the answers to each id, in JSON, or JSON-MIN where `minimal`."""
    rows = []
    for number, task in enumerate(tasks):
        answers = given.get(task["data"]["task_id"], [])
        if minimal:
            submitted = [a for a in answers if a.get("status", "submitted") == "submitted"]
            rows += [
                {**task["data"], "id": number, **_shorten(a), "annotator": a["who"],
                 "annotation_id": place, "lead_time": 1.5}
                for place, a in enumerate(submitted)
            ]  # fmt: skip
            continue
        annotations = [
            {"id": place, "completed_by": a["who"], "result": _list_results(a),
             "was_cancelled": a.get("status") == "discarded", "lead_time": 1.5}
            for place, a in enumerate(answers) if a.get("status") != "draft"
        ]  # fmt: skip
        drafts = [{"user": a["who"], "result": []} for a in answers if a.get("status") == "draft"]
        rows.append(
            {"id": number, "data": task["data"], "annotations": annotations, "drafts": drafts}
        )
    return rows


def _list_results(given: Given) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    if given.get("choice") in ("first", "second"):
        side = "left" if given["choice"] == "first" else "right"
        results.append({"from_name": "comparison", "to_name": "comparison", "type": "pairwise",
                        "value": {"selected": side}})  # fmt: skip
    if given.get("choice") == "tie":
        results.append({"from_name": "tie", "to_name": "prompt", "type": "choices",
                        "value": {"choices": ["tie"]}})  # fmt: skip
    if given.get("why"):
        results.append({"from_name": "why", "to_name": "prompt", "type": "textarea",
                        "value": {"text": [given["why"]]}})  # fmt: skip
    return results


def _shorten(given: Given) -> dict[str, Any]:
    """As JSON-MIN has them: a choice or a text alone where it is the only one, a pairwise choice in
    a list."""
    short: dict[str, Any] = {}
    for result in _list_results(given):
        value = result["value"]
        short[result["from_name"]] = (
            [value] if "selected" in value else (value.get("choices") or value["text"])[0]
        )
    return short
