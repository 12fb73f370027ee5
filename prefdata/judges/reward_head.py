"""The linear reward head: its features, training and file.

Trained as logistic regression on feature differences, the Bradley-Terry likelihood of the pairs
(Reusing Embeddings, arXiv 2502.04357). Question and answer are embedded apart, so that a long
question can't push the answer out of the embedder's window; the features are the answer's
embedding and its elementwise product with the question's, which a linear head can read as
relevance. The answer's length is no feature.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from prefdata.engines.base import MESSAGES, Settings
from prefdata.errors import ModelError, SourceError
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix
from prefdata.judges.text import transcript
from prefdata.records.ids import prompt_id
from prefdata.tables import storage

FILE = "head.json"


class RewardHead(BaseModel):
    """The head and what is known of it. `weights` has two numbers an embedding dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    weights: list[float]
    l2: float
    pairs_train: int
    pairs_heldout: int
    accuracy_train: float
    accuracy_heldout: float
    accuracy_heldout_by_source: dict[str, float]
    longer_wins_heldout: float

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Rewards of feature rows, in log-odds: sigmoid of a difference is P(a ≻ b)."""
        # Not `rows @ weights`: how BLAS sums a row depends on how many others there are, and a
        # score may not depend on the bucket that an answer lies in.
        return np.einsum("ij,j->i", rows, np.asarray(self.weights))


def features(question: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """(n, d) and (n, d) unit embeddings -> (n, 2d)."""
    # Entries of a unit vector are of size 1/sqrt(d): brought to size 1, so that l2 means the
    # same for every embedder; the product once more.
    scale = np.sqrt(answer.shape[1]) if answer.size else 1.0
    return np.hstack([answer * scale, answer * question * scale**2])


def train_head(path: str, model: str, l2: float, inference: Inference) -> RewardHead:
    """Train on the JSONL (.gz) of pairs at `path`; rows with split = heldout only measure."""
    pairs = read_pairs(path)
    texts = pl.concat(
        [
            pairs.select("place", text=transcript(pl.col("prompt"))),
            pairs.select("place", text="chosen"),
            pairs.select("place", text="rejected"),
        ]
    )
    asked = inference.ask(model, "embed", Settings(), texts)
    errors = asked["error"].drop_nulls()
    if len(errors):
        raise ModelError(
            f"models.{model}: {len(errors)} texts of {path} can't be embedded: {errors[0]}",
            "Run again, or take these pairs out.",
        )
    vectors = matrix(asked["embedding"])
    question, chosen, rejected = np.split(vectors, 3)
    difference = features(question, chosen) - features(question, rejected)
    train = (pairs["split"] != "heldout").to_numpy()
    if not train.any() or train.all():
        raise SourceError(f"{path}: both train and heldout pairs are needed", "Set `split`.")
    weights = _fit(difference[train], l2)
    right = difference @ weights > 0
    longer = (pairs["chosen"].str.len_chars() > pairs["rejected"].str.len_chars()).to_numpy()
    heldout = pairs.with_columns(right=pl.Series(right)).filter(~pl.Series(train))
    by_source = heldout.group_by("source").agg(pl.col("right").mean()).sort("source")
    return RewardHead(
        embedder=inference.fingerprint(model),
        weights=weights.tolist(),
        l2=l2,
        pairs_train=int(train.sum()),
        pairs_heldout=int((~train).sum()),
        accuracy_train=float(right[train].mean()),
        accuracy_heldout=float(right[~train].mean()),
        accuracy_heldout_by_source=dict(by_source.iter_rows()),
        longer_wins_heldout=float(longer[~train].mean()),
    )


def _fit(difference: np.ndarray, l2: float) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    # Each pair both ways round, without intercept: swapping the answers flips the sign exactly.
    rows = np.vstack([difference, -difference])
    labels = np.repeat([1, 0], len(difference))
    strength = 1 / (l2 * difference.shape[1])
    model = LogisticRegression(C=strength, fit_intercept=False, max_iter=1000)
    return np.asarray(model.fit(rows, labels).coef_[0])


def read_pairs(path: str) -> pl.DataFrame:
    """Columns place, prompt (messages), chosen, rejected (texts), source, split."""
    content = storage.read_bytes(path)
    if content is None:
        raise SourceError(f"{path}: no such file", "Set reward_head.data to a JSONL of pairs.")
    if path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: not gzip, or cut short: {error}") from error
    rows = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            rows.append(_pair(orjson.loads(line)))
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise SourceError(
                f"{path}:{number}: not a preference pair ({error!r})",
                'A line is {"prompt": [message …], "chosen": [message], "rejected": [message]}.',
            ) from error
    if not rows:
        raise SourceError(f"{path}: empty", "Set reward_head.data to a JSONL of pairs.")
    return pl.DataFrame(rows, schema_overrides={"prompt": MESSAGES})


def _pair(row: Any) -> dict[str, Any]:
    prompt = [{"role": m["role"], "content": m["content"]} for m in row["prompt"]]
    pair = {
        "chosen": row["chosen"][-1]["content"],
        "rejected": row["rejected"][-1]["content"],
        "source": row.get("source", ""),
        "split": row.get("split", "train"),
    }
    texts = [*pair.values(), *(text for message in prompt for text in message.values())]
    if not prompt or not all(isinstance(text, str) for text in texts):
        raise TypeError("a prompt needs a message, and every value has to be a text")
    return {"place": prompt_id((m["role"], m["content"]) for m in prompt), "prompt": prompt, **pair}


def save_head(folder: str, head: RewardHead) -> None:
    """Write FOLDER/head.json."""
    content = orjson.dumps(head.model_dump(), option=orjson.OPT_INDENT_2)
    storage.write_bytes(storage.join(folder, FILE), content + b"\n")


def load_head(folder: str, embedder: str) -> RewardHead:
    """The head in the folder, refused where it was trained on another embedder."""
    path = storage.join(folder, FILE)
    content = storage.read_bytes(path)
    if content is None:
        raise ModelError(f"{path}: no reward head here", "Train one: prefdata reward-head.")
    try:
        head = RewardHead.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{path}: not a reward head", "Train it again.") from error
    if head.embedder != embedder:
        raise ModelError(
            f"{path}: trained on the embeddings of another model ({head.embedder[:12]}, not "
            f"{embedder[:12]})",
            "Train it again with this embedder: prefdata reward-head.",
        )
    return head
