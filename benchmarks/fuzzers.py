"""Mutated inputs for everything that reads what others wrote: rows, replies, ground truths, params.

`INPUTS` makes an input of each kind from a seeded draw and feeds it to prefdata, in this process.
What comes back is a result or an error of prefdata; any other exception is a defect.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attack_seeds as seeds
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from prefdata.cli.ches.rows import read_dataset
from prefdata.config import load_params
from prefdata.engines.base import Options, Sampling, Settings, result_schema
from prefdata.engines.openai import replies
from prefdata.engines.openai.clients.base import Client
from prefdata.engines.openai.clients.choose import ChooseClient
from prefdata.engines.openai.clients.embed import EmbedClient
from prefdata.engines.openai.clients.generate import GenerateClient
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.engines.openai.faults import Fault
from prefdata.engines.registry import ENGINES
from prefdata.inference.loop import Inference
from prefdata.judges.base import Candidates
from prefdata.judges.registry import JUDGES
from prefdata.messages.tool_calls import take_calls
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.merge import drop_duplicates, join_annotations
from prefdata.sources.registry import SOURCES

Draw = random.Random

_DEEP = "@deep"
"""Stands for lists within lists, deeper than JSON can be written from values here."""

HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.5, -0.0,
    1e308, -1e308, 5e-324, "", " ", "\0", "\u202e", "\x1b[2J", "a" * 5000, "́" * 300, "nan", "18",
    "NaN", "-1", "null", "[]", "{}", "[[", '{"a":', "<tool_call>", "<tool_call>{</tool_call>",
    "<tools>[1]</tools>", "\n\nHuman:", "\n\nHuman: a\n\nAssistant: b", "^(a+)+$", "(", "\\",
    "(?P<n>a)(?P=n)", "#" * 200 + "/", "://", "tool", "user", "assistant", [], {}, [None], [[]],
    [{}], {"a": None}, {"": ""}, [1, "a", None, {}], {"type": "tool_use"}, {"$ref": "#"},
    {"$schema": 5}, {"if": {"$ref": "#"}}, {"type": "image"}, {"role": "user", "content": "x"},
    ["a", "b"], [["a", "b"]], [["a"]], [["a", 1]], _DEEP,
]  # fmt: skip


def mutate(value: Any, draw: Draw) -> Any:
    """A copy of a JSON value with up to three of its places changed."""
    changed = [copy.deepcopy(value)]
    for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 3))):
        _change_place(changed, draw)
    return changed[0]


def _change_place(root: list[Any], draw: Draw) -> None:
    places: list[tuple[Any, Any]] = [(root, 0)]
    for holder, key in places:
        inner = holder[key]
        # What is too deep was put there by an earlier change.
        if len(places) < 500 and isinstance(inner, dict | list):
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            places += [(inner, k) for k in keys]
    holder, key = draw.choice(places)
    action = draw.random()
    if action < 0.6:
        holder[key] = copy.copy(draw.choice(HOSTILE))
    elif action < 0.7:
        holder[key] = [holder[key]]
    elif action < 0.8:
        holder[key] = {"content": holder[key]}
    elif isinstance(holder, dict):
        held = holder.pop(key)
        if action < 0.9:
            holder[draw.choice(("x", "role", "content", "", "prompt", f"{key} "))] = held
    elif holder is not root:
        if action < 0.9:
            del holder[key]
        else:
            holder.append(copy.copy(holder[key]))


def dump(value: Any) -> bytes:
    """The value as JSON."""
    return orjson.dumps(value).replace(b'"@deep"', b"[" * 900 + b"]" * 900)


def damage(content: bytes, draw: Draw) -> bytes:
    """The content with some of its bytes changed, cut off or repeated."""
    raw = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(raw) + 1)
        action = draw.random()
        if action < 0.5 and at < len(raw):
            raw[at] ^= 1 << draw.randrange(8)
        elif action < 0.7:
            raw[at:at] = draw.choice(
                (b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b'"', b"[", b"\\ud800")
            )
        elif action < 0.85:
            del raw[at:]
        else:
            raw[at:at] = raw[: draw.randrange(20)]
    return bytes(raw)


def write_rows(folder: str, rows: list[Any], draw: Draw) -> str:
    """Write rows to a file of a form that is drawn, damaged now and then."""
    lines = b"".join(dump(row) + b"\n" for row in rows)
    forms = {
        "rows.jsonl": lambda: lines,
        "rows.json": lambda: dump(rows),
        "rows.jsonl.gz": lambda: gzip.compress(lines, 1),
        "rows.parquet": lambda: _write_parquet(rows),
    }
    name = draw.choices(list(forms), (7, 1, 1, 1))[0]
    content = forms[name]()
    if draw.random() < (0.15 if name == "rows.jsonl" else 0.6):
        content = damage(content, draw)
    path = Path(folder, name)
    path.write_bytes(content)
    return str(path)


def _write_parquet(rows: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    objects = [row if isinstance(row, dict) else {"prompt": row} for row in rows]
    try:
        table = pa.Table.from_pylist(objects)
        pq.write_table(table, sink)
    except (pa.ArrowException, OverflowError):
        # Rows that no schema fits: a column of JSON texts.
        sink = pa.BufferOutputStream()
        texts = [dump(row).decode() for row in rows]
        pq.write_table(pa.table({"prompt": texts, "chosen": texts, "rejected": texts}), sink)
    return sink.getvalue().to_pybytes()


def read_source(settings: dict[str, Any]) -> None:
    """All that ingest does with a source."""
    source = SOURCES.parse(settings, "ingest.sources.0")
    source.check()
    source.count_rows()
    for prompts, dropped in source.read(0, 0.1, 2000):
        rows, _, _ = join_annotations(prompts)
        drop_duplicates(rows)
        assert dropped["reason"].null_count() == 0


def fuzz_ingest(draw: Draw, folder: str) -> None:
    """Rows of prompts."""
    row = draw.choice(seeds.PROMPTS)
    read_source({"kind": "prompts", "path": write_rows(folder, [row, mutate(row, draw)], draw)})


def fuzz_labels(draw: Draw, folder: str) -> None:
    """Rows with annotations."""
    kind = draw.choice(sorted(seeds.ANNOTATED))
    row = seeds.ANNOTATED[kind]
    path = write_rows(folder, [row, mutate(row, draw), row], draw)
    read_source({"kind": "prompts", "path": path, "annotations": {"kind": kind}})


def fuzz_importers(draw: Draw, folder: str) -> None:
    """Preference datasets, transcripts and agents' logs."""
    kind = draw.choice(sorted(set(SOURCES.parts) - {"prompts"}))
    if kind == "traces":
        rows = copy.deepcopy(draw.choice(seeds.LOGS))
        at = draw.randrange(len(rows))
        rows[at] = mutate(rows[at], draw)
    else:
        row = seeds.TREE if kind == "oasst" else draw.choice(seeds.PREFERENCES)
        rows = [row, mutate(row, draw)] if draw.random() < 0.8 else [mutate(row, draw), row]
    read_source({"kind": kind, "path": write_rows(folder, rows, draw)})


def fuzz_ches(draw: Draw, folder: str) -> None:
    """What `prefdata ches` reads and copies."""
    row = draw.choice(seeds.PREFERENCES)
    path = write_rows(folder, [row, mutate(row, draw), row], draw)
    found = read_dataset(open_dataset_source(path, "preferences"))
    found.dataset.copy(found.pairs["row"].to_list(), None)


def fuzz_verifiers(draw: Draw, folder: str) -> None:
    """Ground truths of a prompt each, with a good one beside the bad one."""
    kind = draw.choice(sorted(seeds.GROUND_TRUTHS))
    good = seeds.GROUND_TRUTHS[kind]
    bad = mutate(good, draw)
    truths = [t if isinstance(t, str) else dump(t).decode() for t in (good, bad)]
    prompts = [(f"{n:032x}", truth) for n, truth in enumerate(truths)]
    responses = [
        (prompt, f"{prompt[-1]}{n:031x}", text, True)
        for prompt, _ in prompts
        for n, text in enumerate(seeds.RESPONSES)
    ]
    compared = [(p, f"{p[-1]}{0:031x}", f"{p[-1]}{n:031x}") for p, _ in prompts for n in (1, 2, 3)]
    frames = (
        pl.DataFrame(prompts, ["prompt_id", "ground_truth"], orient="row"),
        pl.DataFrame(responses, ["prompt_id", "response_id", "text", "finished"], orient="row"),
        pl.DataFrame(compared, ["prompt_id", "response_a", "response_b"], orient="row"),
    )
    judge = JUDGES.parse({"kind": kind, **({"seconds": 1} if kind in _SECONDS else {})})
    judge.setup()
    found = judge.judge(Candidates(*frames), Inference({}))
    assert found.height == len(compared)


_SECONDS = {"regex_match", "json_schema", "constraints", "tool_calls"}
_SERVER = seeds.PARAMS["models"]["server"]
_CLIENTS: dict[str, tuple[type[Client], Settings]] = {
    "generate": (GenerateClient, Sampling()),
    "choose": (ChooseClient, Options(options=("A", "B"))),
    "embed": (EmbedClient, Settings()),
}


def fuzz_replies(draw: Draw, folder: str) -> None:
    """Servers' replies, up to the frame that the memo would keep and what is taken out of it."""
    operation = draw.choice(sorted(_CLIENTS))
    kind, settings = _CLIENTS[operation]
    content = dump(mutate(seeds.REPLIES[operation], draw))
    if draw.random() < 0.2:
        content = damage(content, draw)
    replies.parse_models(content)
    config = ENGINES.parse(_SERVER, "models.server")
    message = [{"role": "user", "content": "Why?"}]
    columns = {"text": ["Why?"]} if operation == "embed" else {"messages": [message]}
    client = kind(config, settings, pl.DataFrame({"key": [bytes(16)], **columns}))

    async def post(path: str, body: bytes, size: int) -> Any:
        return replies.parse_body(content, 1 << 20)

    (unit,) = client.list_units()
    try:
        rows = asyncio.run(client.send(unit, post))
    except Fault as fault:
        rows = [client.make_failure(unit.keys[0], str(fault))]
    frame = pl.DataFrame(rows, schema=result_schema(client.operation), orient="row")
    if isinstance(settings, Sampling):
        apart = OpenAIEngine("server", config).split_thoughts(frame, settings)
        take_calls(apart, pl.Series(["[]"]), "hermes")


def fuzz_params(draw: Draw, folder: str) -> None:
    """params.yaml, changed as a value or as a text."""
    text = yaml.safe_dump(mutate(seeds.PARAMS, draw), allow_unicode=True).encode()
    if draw.random() < 0.3:
        text = damage(text, draw)
    path = Path(folder, "params.yaml")
    path.write_bytes(text)
    load_params(path)


Fuzzer = Callable[[Draw, str], None]
INPUTS: dict[str, Fuzzer] = {
    "ingest": fuzz_ingest,
    "labels": fuzz_labels,
    "importers": fuzz_importers,
    "ches": fuzz_ches,
    "verifiers": fuzz_verifiers,
    "replies": fuzz_replies,
    "params": fuzz_params,
}


def feed(name: str, number: int) -> None:
    """Feed input `number` of a kind to prefdata; the same number is the same input."""
    with tempfile.TemporaryDirectory() as folder:
        INPUTS[name](random.Random(f"{name} {number}"), folder)
