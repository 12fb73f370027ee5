# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which pairs of a preference dataset would do harm?
#
# DPO can make the *chosen* response less likely: the loss only asks that the rejected one falls by
# more. [Razin et al.](https://arxiv.org/abs/2410.08847) show that this happens where the model's
# hidden states of both responses look alike, and measure it by CHES, the *centered hidden embedding
# similarity*. Here CHES is measured on pairs in the form that most public preference datasets have:
# `prompt`, `chosen` and `rejected`, each a list of messages.
#
# It needs `pip install "prefdata[transformers]"` and the folder `demo/` of the repository.

# %%
import gzip
import json
from itertools import islice
from pathlib import Path

import polars as pl

import prefdata

DEMO = next(folder for folder in (Path("demo"), Path("../demo")) if folder.is_dir())

# %% [markdown]
# ## The pairs
#
# Another dataset goes here: `datasets.load_dataset("OWNER/NAME", split="train")` has the same rows.

# %%
with gzip.open(DEMO / "data" / "preferences.jsonl.gz", "rt", encoding="utf-8") as file:
    rows = [json.loads(line) for line in islice(file, 20)]

print(json.dumps(rows[0], indent=1)[:600])

# %% [markdown]
# `measure_ches` takes the responses as texts, the prompt as a text or as messages.

# %%
pairs = [
    {
        "prompt": row["prompt"],
        "chosen": row["chosen"][-1]["content"],
        "rejected": row["rejected"][-1]["content"],
    }
    for row in rows
]

# %% [markdown]
# ## CHES
#
# The model is the one that is to be trained: a Hugging Face id or a folder. This one is tiny, so
# that the notebook takes seconds. One forward pass per response is all that it costs.

# %%
measured = prefdata.measure_ches(pairs, str(DEMO / "policy"), progress=False)
print(measured.select("ches", "ches_normalized", "last_hidden_inner_product").describe())

# %% [markdown]
# `ches` grows with the length of the responses; `ches_normalized` compares responses per token, and
# is the one to filter by where lengths vary. A `fault` says why a pair could not be measured.

# %%
assert measured["fault"].null_count() == measured.height
lengths = measured.with_columns(
    longer=pl.col("chosen").str.len_chars() - pl.col("rejected").str.len_chars()
)
print(
    lengths.select(
        ches=pl.corr("ches", "longer", method="spearman"),
        ches_normalized=pl.corr("ches_normalized", "longer", method="spearman"),
    )
)

# %% [markdown]
# ## The riskiest pairs
#
# For each of them the model sees much the same in both responses: read them, and ask what a model
# could learn from the difference.

# %%
riskiest = measured.sort("ches_normalized", descending=True).head(3)
for row in riskiest.iter_rows(named=True):
    print(f"{row['ches_normalized']:.3f}")
    print("  chosen:  ", row["chosen"][:100].replace("\n", " "))
    print("  rejected:", row["rejected"][:100].replace("\n", " "))

# %% [markdown]
# ## What to train on
#
# The paper keeps the pairs with the lowest CHES. How many is up to you: look at what is dropped.

# %%
limit = measured["ches_normalized"].quantile(0.8)
kept = measured.filter(pl.col("ches_normalized") <= limit)
print(f"{kept.height} of {measured.height} pairs are kept")

# %% [markdown]
# The command does the same for a whole dataset, keeps finished model calls, and writes a filtered
# copy in the dataset's own form:
#
# ```sh
# prefdata ches --model demo/policy --data demo/data/preferences.jsonl.gz \
#   --max-quantile 0.8 --out filtered
# ```
