"""Reading a server's answers: what is not wholly there and of the right kind is no answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from prefdata.engines.openai.faults import Fault, bad_response

PLACEHOLDER = -9999.0
"""What OpenAI and vLLM write where they have no log-probability."""
NO_LOGPROBS = "Use a server that gives log-probs, or set options.logprobs: false (generate only)."

Generation = tuple[str, int, str, float | None, int]


def generation(answer: Any, logprobs: bool, exact: bool) -> Generation:
    """(text, n_tokens, finish_reason, cumulative_logprob, n_prompt_tokens).

    `exact`: the server reports the end-of-turn token's log-probability among the others. OpenAI's
    own may leave it out; the sum then lacks it.
    """
    choice, usage = _choice(answer), _usage(answer)
    n_prompt, n_tokens = usage["prompt_tokens"], usage.get("completion_tokens")
    if type(n_tokens) is not int or n_tokens < 0:
        raise bad_response(f"usage.completion_tokens is {n_tokens!r:.40}", lacking=True)
    reason = choice.get("finish_reason")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise bad_response("the choice has no message")
    if reason == "content_filter":
        raise Fault("refused", "the server's content filter cut the answer", own=True)
    if message.get("refusal"):
        raise Fault("refused", "the server refused to answer", own=True)
    if reason not in ("stop", "length"):
        raise bad_response(f"finish_reason is {reason!r:.40}, stop or length was expected")
    text = message.get("content")
    if text is None and (message.get("reasoning") or message.get("reasoning_content")):
        raise Fault(
            "bad_response", "the reasoning took all of max_tokens, no answer came", own=True
        )
    if not isinstance(text, str):
        raise bad_response(f"the message's content is {type(text).__name__}, text was expected")
    if not logprobs:
        return text, n_tokens, reason, None, n_prompt
    values = [entry_logprob(entry) for entry in _content(choice)]
    if len(values) != n_tokens and (exact or reason != "stop" or len(values) != n_tokens - 1):
        raise bad_response(f"{len(values)} log-probs for {n_tokens} tokens")
    return text, n_tokens, reason, math.fsum(values), n_prompt


def top_logprobs(answer: Any, remedy: str = NO_LOGPROBS) -> tuple[dict[str, float], int]:
    """(log-probability by token text of the first token's alternatives, n_prompt_tokens)."""
    content = _content(_choice(answer))
    if len(content) != 1:
        raise bad_response(f"log-probs for {len(content)} tokens, for 1 was expected")
    entries = content[0].get("top_logprobs") if isinstance(content[0], dict) else None
    if not isinstance(entries, list) or not entries:
        raise bad_response("no top_logprobs", lacking=True, remedy=remedy)
    found: dict[str, float] = {}
    for entry in entries:
        token = entry.get("token") if isinstance(entry, dict) else None
        if not isinstance(token, str):
            raise bad_response("a log-prob without its token")
        if entry.get("logprob") != PLACEHOLDER:
            # The likeliest of tokens that read alike is the one that a tokenizer makes.
            found[token] = max(entry_logprob(entry), found.get(token, -math.inf))
    return found, _usage(answer)["prompt_tokens"]


def prompt_logprobs(answer: Any, ids: Sequence[int], start: int) -> list[float]:
    """log p of ids[start:], each given those before it."""
    given = _choice(answer).get("prompt_logprobs")
    if given is None:
        raise bad_response("no prompt_logprobs", lacking=True)
    if not isinstance(given, list) or len(given) != len(ids):
        raise bad_response(f"prompt_logprobs are not those of {len(ids)} tokens")
    try:
        return [entry_logprob(given[i][str(ids[i])]) for i in range(start, len(ids))]
    except (TypeError, KeyError):
        raise bad_response("prompt_logprobs lack a token of the prompt") from None


def entry_logprob(entry: Any) -> float:
    """The number in {"logprob": number}: at most zero, and no placeholder."""
    value: Any = entry.get("logprob") if isinstance(entry, dict) else None
    # A rounding error above zero is one; a probability of 2 is not.
    if type(value) not in (float, int) or not PLACEHOLDER < value <= 1e-3:
        raise bad_response(f"a log-prob is {value!r:.40}")
    return min(float(value), 0.0)


def token_ids(answer: Any) -> list[int]:
    """The tokens that vLLM's /tokenize gives."""
    ids = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(ids, list) or not all(type(i) is int for i in ids):
        raise bad_response("/tokenize gave no token ids")
    return ids


def embeddings(answer: Any, count: int) -> tuple[list[list[float]], int]:
    """(one vector of unit length a text, in their order, n_prompt_tokens of all together)."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or len(data) != count:
        raise bad_response(f"not {count} embeddings for {count} texts")
    found: dict[int, list[float]] = {}
    for entry in data:
        place, vector = (
            (entry.get("index"), entry.get("embedding")) if isinstance(entry, dict) else (None, 0)
        )
        if type(place) is not int or not isinstance(vector, list) or not vector:
            raise bad_response("an embedding is no list of numbers with its index")
        if not all(type(x) in (float, int) for x in vector):
            raise bad_response("an embedding holds something other than numbers")
        length = math.sqrt(math.fsum(x * x for x in vector))
        if not 0 < length < math.inf:
            raise bad_response(f"an embedding has the length {length:g}")
        found[place] = [x / length for x in vector]
    if sorted(found) != list(range(count)):
        raise bad_response("the embeddings' indices are not those of the texts")
    if len({len(vector) for vector in found.values()}) > 1:
        raise bad_response("the embeddings are of different lengths")
    return [found[i] for i in range(count)], _usage(answer)["prompt_tokens"]


def _choice(answer: Any) -> dict[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise bad_response("not one choice in the answer")
    return choices[0]


def _usage(answer: dict[str, Any]) -> Any:
    usage: Any = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if type(count) is not int or count < 0:
        raise bad_response(f"usage.prompt_tokens is {count!r:.40}", lacking=True)
    return usage


def _content(choice: dict[str, Any]) -> list[Any]:
    logprobs = choice.get("logprobs")
    if logprobs is None:
        raise bad_response("no log-probs", lacking=True, remedy=NO_LOGPROBS)
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        raise bad_response("the log-probs have no content")
    return content
