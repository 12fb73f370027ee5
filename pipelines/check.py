"""Checks of params.yaml that need the parts' own configurations; before any stage starts."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.params import Params
from prefdata.dataset.exports import registry as exports
from prefdata.errors import ConfigError
from prefdata.filters import registry as filters
from prefdata.judges import registry as judges
from prefdata.judges.human import HumanJudge
from prefdata.pipelines.stages import augment, generate, judge, pair, top_up
from prefdata.pipelines.stages import ches as score
from prefdata.pipelines.stages.base import check_requirements
from prefdata.pipelines.stages.filter import with_limit
from prefdata.pipelines.stages.ingest import bucket_count
from prefdata.sources.files import check_source


def check_labels(params: Params) -> None:
    """Refuse what would wait in vain for people's labels: a judge of them, or no samples beside."""
    kinds = {source.labels.kind for source in params.ingest.sources if source.labels}
    for position, one in enumerate(judges.build(params.judge.judges)):
        if isinstance(one, HumanJudge) and one.config.labels not in kinds:
            raise ConfigError(
                f"judge.judges.{position}: {one.name} hears labels of the kind "
                f"{one.config.labels}, and no source has them",
                f"Set `labels: {{kind: {one.config.labels}}}` of a source in ingest.sources.",
            )
    if params.generate.n == 0 and not kinds:
        raise ConfigError(
            "generate.n: 0 draws no samples, and no source brings responses",
            "Set n above 0, or `labels` of a source in ingest.sources.",
        )


def check_parts(params: Params, names: Sequence[str]) -> None:
    """Every judge, strategy, filter and export is known and its settings are right; every model
    that is named is defined, is there and can do what is asked of it; the sources can be opened,
    if the stage that reads them is among `names`."""
    bucket_count(params, 0)
    if "ingest" in names:
        for source in params.ingest.sources:
            check_source(source)
    check_labels(params)
    exports.build(params.export.format)
    top_up.check(params)
    stages = [generate, judge, pair, augment]
    if params.score or "score" in names:
        stages.append(score)
    needs = [need for stage in stages for need in stage.requirements(params)]
    needs += [need for f in filters.build(with_limit(params)) for need in f.requirements()]
    if params.reward_head:
        needs.append((params.reward_head.model, "embed"))
    check_requirements(params, needs)
