"""Does it teach? Six ways of choosing pairs from the same samples, trained on and measured.

SmolLM2-135M-Instruct answers 300 of OpenAssistant's prompts with constraints that a rule can check
(demo/data/constrained.jsonl). From the same samples each arm makes as many pairs in its own way
(`ARMS` in gain_arms.py), by prefdata run on params of its own; the policy is trained on them by
prefdata's trainer, with DPO in as many steps; and prefdata's evaluation asks it 150 other prompts.
What is reported is what the pairs of each arm have in common; the share of their constraints that
its policy meets, against the start and against the other arms; how far it went from the start; and
what the first seed's training did to the log-probabilities of the arm's own pairs, with the rank
correlation of CHES and other scores with it.

    make bench-gain                        sets up, brings the model, and takes one seed
    python benchmarks/gain.py              one seed
    python benchmarks/gain.py --seeds 3    three seeds of each arm
    python benchmarks/gain.py --quick      the mechanics, on the demo policy: one arm, few prompts
    python benchmarks/gain.py --pilot 3e-5 1e-4    the arm verifier at learning rates, measured on
                                           training prompts that none of its pairs is of

A run that was stopped goes on where it was: samples are in the memo, and measured arms in
results/ of the folder --work. The log-probabilities that are compared are taken in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# For the trainings: by default glibc gives large blocks back when they are freed, and the kernel
# clears them anew in every step.
os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**34))

from gain_arms import (
    ARMS,
    ROOT,
    SPLITS,
    Setting,
    Size,
    read_prompts,
    write_preferences,
    write_prompts,
)
from gain_steps import (
    build_arm,
    describe_choice,
    evaluate,
    evaluate_all,
    locate_policy,
    measure_pairs,
    train,
)
from machine import report

QUICK = Size(
    prompts=(12, 6), pairs=4, n=3, n_heldout=1, max_tokens=12, steps=2, batch=2, preferences=40
)
QUICK_ARMS = ("highest_ches",)
PILOT_PROMPTS = 80
_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line of progress with the minutes since the start."""
    print(f"{(time.monotonic() - _STARTED) / 60:6.1f} min  {text}", file=sys.stderr, flush=True)


def install_strategies(work: Path) -> None:
    """Let this process find gain_parts.py's strategies as those of a plugin."""
    info = work / "plugin" / "gain_parts-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Name: gain-parts\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[prefdata.strategies]\nhighest_ches = gain_parts:HighestChes\n"
        "random_pairs = gain_parts:RandomPairs\n"
    )
    sys.path.append(str(info.parent))


def keep(path: Path, measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What the file holds; where there is none, what `measure` returns, which it then holds."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        found = {**measure(), "seconds": round(time.monotonic() - began, 1)}
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(found))
        unfinished.replace(path)
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def measure_policy(setting: Setting, params: Any, arm: str, seed: int) -> dict[str, Any]:
    """Train on an arm's pairs, and have the policy respond to held-out prompts."""
    policy, training = train(setting, arm, seed, params.data, setting.size.rate)
    say(f"{arm}, seed {seed}: trained, {training}")
    found = evaluate_all(setting, f"{arm}-{seed}", str(policy))
    return {"arm": arm, "seed": seed, "training": training, **found}


def measure_displacement(setting: Setting, params: Any, arm: str, seed: int) -> dict[str, Any]:
    """What training did to the log-probabilities of the arm's pairs."""
    policy, _ = train(setting, arm, seed, params.data, setting.size.rate)
    return {"pairs": measure_pairs(setting, params, policy)}


def run_pilot(setting: Setting, rates: Sequence[float]) -> None:
    """Train the arm verifier at each learning rate, and report how it does on training prompts
    that none of its pairs is of."""
    import prefdata

    params = build_arm(setting, "verifier")
    prompts = prefdata.read(params, "prompts")
    free = prompts.join(prefdata.read(params, "filtered"), on="prompt_id", how="anti")
    texts = {messages[-1]["content"] for messages in free["messages"].to_list()}
    rows = [row for row in read_prompts("train") if row["prompt"] in texts][:PILOT_PROMPTS]
    write_prompts(setting, "pilot", rows)
    shares = {}
    for rate in (0.0, *rates):
        name = f"pilot-{rate:g}"

        def measure(rate: float = rate, name: str = name) -> dict[str, Any]:
            if rate:
                policy, _ = train(setting, "verifier", 0, params.data, rate)
            else:
                policy = Path(setting.model)
            return {"heldout": evaluate(setting, name, str(policy), source="pilot", n=2)}

        found = keep(setting.work / "results" / f"{name}.json", measure)["heldout"]
        shares[f"{rate:g}"] = round(sum(row["share"] for row in found) / len(found), 3)
        say(f"learning rate {rate:g}: share {shares[f'{rate:g}']}")
    report(benchmark="gain", pilot=shares, prompts=len(rows))


def run_arms(setting: Setting, arms: Sequence[str], seeds: int) -> dict[str, Any]:
    """Build, train and measure every arm; the figures of all that was measured."""
    from gain_figures import Gain, summarize

    results = setting.work / "results"
    start = keep(
        results / "start.json",
        lambda: {"arm": "start", "seed": 0, **evaluate_all(setting, "start", setting.model)},
    )
    say("the start is measured")
    built = {}
    for arm in arms:
        built[arm] = build_arm(setting, arm)
        say(f"{arm}: pairs are chosen")
    check_counts(setting, built)
    runs = {}
    for seed in range(seeds):
        for arm in arms:
            measure = partial(measure_policy, setting, built[arm], arm, seed)
            runs[arm, seed] = keep(results / f"{arm}-{seed}.json", measure)
            share = summarize(start, [runs[arm, seed]])["arms"][arm]["share_gain"]["value"]
            say(f"{arm}, seed {seed}: evaluated; constraint share {share:+.3f}")
        # Of one seed, and after its arms are evaluated: it takes as long as a training.
        for arm in arms if seed == 0 else ():
            measure = partial(measure_displacement, setting, built[arm], arm, seed)
            runs[arm, seed] |= keep(results / f"{arm}-{seed}-pairs.json", measure)
            say(f"{arm}, seed {seed}: log-probabilities are measured")
        for arm in arms:
            # Half a gigabyte, which nothing reads any more.
            shutil.rmtree(locate_policy(setting, arm, seed, setting.size.rate), ignore_errors=True)
    figures = summarize(start, list(runs.values()))
    figures["choice"] = {arm: describe_choice(params) for arm, params in built.items()}
    print(Gain(figures=figures))
    return figures


def check_counts(setting: Setting, built: Mapping[str, Any]) -> None:
    """Refuse arms that have fewer pairs than the others."""
    import prefdata

    counts = {arm: prefdata.read(params, "filtered").height for arm, params in built.items()}
    if set(counts.values()) != {setting.size.pairs}:
        raise SystemExit(
            f"{setting.size.pairs} pairs are wanted of each arm, and there are {counts}"
        )


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one arm on the demo policy")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="ARM")
    parser.add_argument("--pilot", nargs="+", type=float, metavar="RATE", help="learning rates")
    parser.add_argument("--rate", type=float, default=Size.rate, help="the learning rate")
    parser.add_argument("--model", default=str(ROOT / "data" / "models" / "smollm2"))
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--work", type=Path, default=ROOT / "data" / "gain")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(given.work, given.model, given.dtype, Size(rate=given.rate))
        if given.quick:
            model = str(ROOT / "demo" / "policy")
            setting = Setting(Path(folder), model, "float32", QUICK)
        elif not Path(given.model, "config.json").is_file():
            raise SystemExit(f"{given.model}: there is no model; make smollm2 brings it")
        setting.work.mkdir(parents=True, exist_ok=True)
        install_strategies(setting.work)
        write_preferences(setting)
        counts = setting.size.prompts or (None, None)
        for split, count in zip(SPLITS, counts, strict=True):
            write_prompts(setting, split, read_prompts(split)[:count])
        if given.pilot:
            run_pilot(setting, given.pilot)
            return
        arms = QUICK_ARMS if given.quick else given.arms
        figures = run_arms(setting, arms, given.seeds)
        report(
            benchmark="gain",
            model=Path(setting.model).name,
            dtype=setting.dtype,
            **asdict(setting.size),
            seconds=round(time.monotonic() - _STARTED),
            **figures,
        )


if __name__ == "__main__":
    main()
