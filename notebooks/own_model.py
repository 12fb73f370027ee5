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
# # A preference dataset from your own model
#
# Prompts go in; a model responds to each several times, a judge compares the responses, and pairs
# come out that a trainer takes as they are. Everything is written into a folder next to this
# notebook, `own_model/`.
#
# It needs nothing but `pip install prefdata`, because its model is a script that makes up words.
# Put your own in its place, such as
# `{"engine": "transformers", "model": "Qwen/Qwen2.5-0.5B-Instruct"}` (with
# `pip install "prefdata[transformers]"`) or a model behind a server; nothing else changes.

# %%
import json
from pathlib import Path

import datasets
import yaml

import prefdata

MODEL = {"engine": "scripted", "model": "made-up-words"}
FOLDER = Path("own_model")

# %% [markdown]
# ## Prompts
#
# One JSON object a line, with `prompt` or `messages`.

# %%
FOLDER.mkdir(exist_ok=True)
prompts = [
    {"prompt": f"Explain in one sentence what the number {n} is good for."} for n in range(60)
]
(FOLDER / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))

# %% [markdown]
# ## The flow
#
# The same as `params.yaml` for the command line; `prefdata init` writes one with comments, and
# `prefdata describe judge pairwise` tells what else a judge can be told. The judge asks in both
# orders, so that the place of a response does not matter.

# %%
settings = {
    "data": str(FOLDER / "data"),
    "memo": str(FOLDER / "data" / "memo"),
    "models": {"policy": MODEL},
    "ingest": {"sources": [{"path": str(FOLDER / "prompts.jsonl")}]},
    "generate": {"n": 4, "max_tokens": 64},
    "judge": {"judges": [{"kind": "pairwise", "model": "policy"}]},
    "consensus": {"kind": "mean", "min_confidence": 0.6},
    "pair": {"strategy": {"kind": "best_worst"}},
    "export": {"name": "own-model", "license": "other"},
}
(FOLDER / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
params = prefdata.load_params(FOLDER / "params.yaml")

# %%
funnel = prefdata.run(params, progress=False)
print(funnel)

# %% [markdown]
# ## What was made
#
# Every stage left a table. A label says how sure it is, and what was dropped says why.

# %%
print(prefdata.read(params, "labels").select("preference", "agreement").describe())
print(prefdata.read(params, "dropped/consensus")["reason"].value_counts())

# %% [markdown]
# ## Another choice costs no model call
#
# Finished calls are kept, so a stricter consensus asks nobody again.

# %%
stricter = prefdata.load_params(FOLDER / "params.yaml", ["consensus.min_confidence=0.8"])
again = prefdata.run(stricter, progress=False)
calls = [call for stage in again.stages.values() for call in stage.models.values()]
asked = sum(call.requests - call.cached for call in calls)
assert asked == 0
print(f"new model calls: {asked}; pairs: {again.stages['export'].rows_out}")

# %% [markdown]
# ## Train on it
#
# `datasets.load_dataset("own_model/data/dataset")` loads the newest version, in the form that TRL's
# `DPOTrainer` takes; `export.formats` writes other trainers' forms beside it. `prefdata verify
# own_model/data/dataset` checks that it is whole, and its card says how it was made.

# %%
dataset = datasets.load_dataset(str(FOLDER / "data" / "dataset"))
row = dataset["train"][0]
for column in ("prompt", "chosen", "rejected"):
    print(f"{column}: {row[column][-1]['content'][:80]}")
