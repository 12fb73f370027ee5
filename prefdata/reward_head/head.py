"""The linear reward head: its features, training and file.

Trained as logistic regression on feature differences, the Bradley-Terry likelihood of the pairs
(Reusing Embeddings, arXiv 2502.04357). Question and response are embedded apart, so that a long
question can't push the response out of the embedder's window. Three kinds of features: `response`, its
embedding; `relevance`, the elementwise product with the question's, which a linear head can read
as relevance; `surface`, what can be counted in the text (records/text_features.py), its length
with it. With `control_length` the lengths' log ratio is fitted along and then left out: what
length explains is explained by it and by no feature that only goes with it, and the reward pays
nothing for length.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from prefdata.engines.base import MESSAGES, Settings
from prefdata.errors import ModelError, SourceError
from prefdata.files import storage
from prefdata.hashing.ids import prompt_id
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import matrix
from prefdata.judges.asking.conversation import transcript
from prefdata.text.features import LENGTH, text_features

FILE = "head.json"
L2_GRID = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""The penalties that `l2: auto` tries."""
_SURFACE_SCALE = 3.0
"""A surface feature stands beside hundreds of embedding entries: the penalty is eased so far."""
_UNPENALISED = 30.0
_LEAST_SPREAD = 1e-6
_NEWTON = 2048
_FOLDS = 3

Kind = Literal["response", "relevance", "surface"]


class HeadConfig(Protocol):
    """What of the section `reward_head` decides the fit."""

    @property
    def features(self) -> list[Kind]: ...

    @property
    def control_length(self) -> bool: ...

    @property
    def l2(self) -> float | Literal["auto"]: ...


class RewardHead(BaseModel):
    """The head and what is known of it; `spread` is the surface features' typical difference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    features: list[Kind] = ["response", "relevance"]
    control_length: bool = False
    weights: list[float]
    spread: list[float] = []
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
        # score may not depend on the bucket that a response lies in.
        return np.einsum("ij,j->i", rows, np.asarray(self.weights))

    def rows(self, question: np.ndarray, response: np.ndarray, text: pl.Series) -> np.ndarray:
        """The feature rows (n, f) of responses: unit embeddings (n, d) twice, and the texts."""
        counted = np.zeros((len(text), 0))
        if "surface" in self.features:
            counted = surface(text, self.control_length) / np.asarray(self.spread)
        return features(self.features, question, response, counted)


def features(
    kinds: Sequence[Kind], question: np.ndarray, response: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """(n, d) and (n, d) unit embeddings and (n, s) surface features -> (n, f), by `kinds`."""
    # Entries of a unit vector are of size 1/sqrt(d): brought to size 1, so that l2 means the
    # same for every embedder; the product once more.
    scale = np.sqrt(response.shape[1]) if response.size else 1.0
    parts = {
        "response": lambda: response * scale,
        "relevance": lambda: response * question * scale**2,
        "surface": lambda: counted * _SURFACE_SCALE,
    }
    return np.hstack([parts[kind]() for kind in kinds])


def surface(text: pl.Series, control_length: bool) -> np.ndarray:
    """(n, s) text features; the length is left out where it is controlled."""
    counted = text.to_frame("text").select(text_features(pl.col("text")))
    return counted.drop(LENGTH if control_length else []).to_numpy()


def train_head(path: str, model: str, config: HeadConfig, inference: Inference) -> RewardHead:
    """Train on the JSONL (.gz) of pairs at `path`; rows with split = heldout only measure."""
    pairs = read_pairs(path)
    texts = pl.concat(
        [
            pairs.select("prompt_id", text=transcript(pl.col("prompt"))),
            pairs.select("prompt_id", text="chosen"),
            pairs.select("prompt_id", text="rejected"),
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
    responses = [pairs["chosen"], pairs["rejected"]]
    counted = [surface(text, config.control_length) for text in responses]
    train = (pairs["split"] != "heldout").to_numpy()
    if not train.any() or train.all():
        raise SourceError(f"{path}: both train and heldout pairs are needed", "Set `split`.")
    # Brought to size 1 by how much two responses of the training pairs differ.
    spread = np.sqrt(((counted[0] - counted[1])[train] ** 2).mean(axis=0)) + _LEAST_SPREAD
    good, bad = (
        features(config.features, question, response, some / spread)
        for response, some in zip((chosen, rejected), counted, strict=True)
    )
    difference = good - bad
    lengths = [text.str.len_chars().cast(pl.Float64).log1p().to_numpy() for text in responses]
    ratio = (lengths[0] - lengths[1])[train] if config.control_length else None
    places = pairs.filter(pl.Series(train))["prompt_id"].rank("dense").to_numpy()
    l2 = config.l2 if config.l2 != "auto" else _best_l2(difference[train], ratio, places)
    weights = fit_head(difference[train], l2, ratio)
    right = difference @ weights > 0
    longer = (pairs["chosen"].str.len_chars() > pairs["rejected"].str.len_chars()).to_numpy()
    heldout = pairs.with_columns(right=pl.Series(right)).filter(~pl.Series(train))
    by_source = heldout.group_by("source").agg(pl.col("right").mean()).sort("source")
    return RewardHead(
        embedder=inference.fingerprint(model),
        features=config.features,
        control_length=config.control_length,
        weights=weights.tolist(),
        spread=spread.tolist(),
        l2=l2,
        pairs_train=int(train.sum()),
        pairs_heldout=int((~train).sum()),
        accuracy_train=float(right[train].mean()),
        accuracy_heldout=float(right[~train].mean()),
        accuracy_heldout_by_source=dict(by_source.iter_rows()),
        longer_wins_heldout=float(longer[~train].mean()),
    )


def fit_head(
    difference: np.ndarray, l2: float, length_ratio: np.ndarray | None = None
) -> np.ndarray:
    """Weights (f,) from chosen's minus rejected's features (n, f), by logistic regression.

    `length_ratio` (n,), the lengths' log ratio, is fitted along and left out of the weights.
    """
    from sklearn.linear_model import LogisticRegression

    columns = difference.shape[1]
    if length_ratio is not None:
        # Large, so that the penalty hardly holds its weight back.
        difference = np.hstack([difference, length_ratio[:, None] * _UNPENALISED])
    # Every other pair the other way round: the likelihood is the same, and there are two classes.
    # Without intercept, so swapping the responses flips the sign exactly.
    side = np.where(np.arange(len(difference)) % 2, -1.0, 1.0)
    model = LogisticRegression(
        C=2 / (l2 * columns),
        fit_intercept=False,
        max_iter=1000,
        solver="newton-cholesky" if columns <= _NEWTON else "lbfgs",
    )
    return np.asarray(model.fit(difference * side[:, None], side > 0).coef_[0][:columns])


def _best_l2(difference: np.ndarray, ratio: np.ndarray | None, place: np.ndarray) -> float:
    """The penalty of L2_GRID that leaves out prompts best: three folds, whole prompts each."""
    fold = place % _FOLDS
    losses = []
    for l2 in L2_GRID:
        loss = 0.0
        for out in range(_FOLDS):
            kept = fold != out
            if kept.all() or not kept.any():
                continue
            weights = fit_head(difference[kept], l2, None if ratio is None else ratio[kept])
            right = difference[~kept] @ weights
            loss += float(np.logaddexp(0, -right).sum())
        losses.append(loss)
    return L2_GRID[int(np.argmin(losses))]


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
    return {
        "prompt_id": prompt_id((m["role"], m["content"]) for m in prompt),
        "prompt": prompt,
        **pair,
    }


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
