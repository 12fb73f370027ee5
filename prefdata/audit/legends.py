"""What each column of the audit's tables means."""

from __future__ import annotations

from prefdata.audit.biases import MATCHED

BIASES = {
    "judge": "the judge's name",
    "unscored": "the share of comparisons without a verdict",
    "ties": "the share of verdicts for neither response",
    "flips": "the share of verdicts that the other order of the two responses turns round; empty "
    "where it is not asked in both orders",
    "first": "how often it prefers the response that it sees first; 0.5 without a bias",
    "longer": "how often it prefers the longer response",
    "matched": f"the same of responses whose lengths differ by less than {MATCHED:.0%}",
    "own": "how often it prefers its own model's response; empty where that wrote none, or all",
    "labels": "the share of its verdicts that are those of --labels",
    "ECE": "expected calibration error: how far its probabilities are from the labels; 0 is best",
}
POLICIES = {
    "judge": "the judge's name",
    "policy": "the policy's name; (own): the policy's model is the judge's",
    "comparisons": "its comparisons with other policies",
    "won": "the share that the judge has it win, a tie being half (95 % interval)",
    "others": "the same by all other judges",
    "excess": "won less others, where both have a verdict (95 % interval)",
    "consensus": "the same share by the consensus",
}
_SHARES = {
    "agree": "the share of equal verdicts",
    "kappa": "Cohen's: agreement beyond chance; 1 always, 0 as by chance",
    "tau": "Kendall's: how alike they order a prompt's responses; 1 equally, -1 in reverse",
}
AGREEMENT = {
    "judge": "a judge's name",
    "and": "another judge's name",
    "both scored": "the comparisons on which both have a verdict",
    **_SHARES,
}
ANNOTATORS = {
    "annotator": "an annotator's id",
    "and": "another annotator's id",
    "both labelled": "the comparisons that both annotated",
    **_SHARES,
}
DRIVERS = {
    "judge": "the judge's name",
    "moved most by": "features of the text that move its verdicts, others being equal: log-odds "
    "per standard deviation (95 % interval), the strongest first",
}
