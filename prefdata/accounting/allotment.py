"""How many samples of a prompt each policy draws, of all that are drawn for it.

A prompt's samples are numbered 0, 1, 2 …, and each number belongs to one policy, whatever the total
is. So a prompt that gets more samples keeps those that it has.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from prefdata.hashing.digests import row_digests

_DIGITS = 12
"""The hex digits of a digest that make a number: no more than a float holds exactly."""


def allot_by_count(totals: pl.Series, counts: Mapping[str, int]) -> dict[str, pl.Series]:
    """Allot samples to policies in proportion to their counts.

    Every round, of as many samples as all counts together, gives each policy exactly its count.
    Within a round the policies alternate, so that a part of one is in proportion too.

    Args:
        totals: The number of samples of each prompt.
        counts: The number of samples of each policy in a round.

    Returns:
        Policy -> its number of samples of each prompt.
    """
    # By the middles of each policy's shares of the round, as seats are allotted to parties.
    turns = sorted(
        ((number + 0.5) / count, order, name)
        for order, (name, count) in enumerate(counts.items())
        for number in range(count)
    )
    allotted = {}
    for name, count in counts.items():
        own = pl.Series([0, *(int(turn[2] == name) for turn in turns)]).cum_sum()
        allotted[name] = totals // len(turns) * count + own.gather(totals % len(turns))
    return allotted


def allot_by_weight(totals: pl.DataFrame, weights: Mapping[str, float]) -> dict[str, pl.Series]:
    """Draw the policy of every sample at random, by the policies' weights.

    The prompt's id and the sample's number alone choose the policy, by weighted rendezvous hashing:
    a digest of both and of a policy's name becomes an exponential waiting time with the policy's
    weight as its rate, and the shortest one wins. So neither buckets nor the order of the policies
    matter, and a policy that is added takes samples from the others without moving any between
    them.

    Args:
        totals: prompt_id and `total`, the number of samples of each prompt.
        weights: The weight of each policy; at least one is above 0.

    Returns:
        Policy -> its number of samples of each prompt.
    """
    totals = totals.with_row_index("row")
    numbered = totals.select(
        "row", "prompt_id", sample=pl.int_ranges(pl.col("total"), dtype=pl.Int64)
    ).explode("sample", empty_as_null=False)
    names = sorted(name for name, weight in weights.items() if weight)
    waits = []
    for name in names:
        digests = row_digests(numbered, ["prompt_id", "sample"], "the policy of a sample", name)
        fraction = (digests.str.head(_DIGITS).str.to_integer(base=16) + 0.5) / 16**_DIGITS
        waits.append((-fraction.log() / weights[name]).alias(name))
    winners = pl.DataFrame(waits).select(
        numbered["row"], winner=pl.concat_list(pl.all()).list.arg_min()
    )
    allotted = {}
    for name in weights:
        won = winners.filter(winner=names.index(name)) if name in names else winners.clear()
        counts = won.group_by("row").len("count")
        joined = totals.join(counts, on="row", how="left", maintain_order="left")
        allotted[name] = joined["count"].fill_null(0).cast(pl.Int64)
    return allotted
