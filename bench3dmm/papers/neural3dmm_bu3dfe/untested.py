"""What of the paper's statements no stored run can test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Untested:
    """A statement without a claim, and the reason."""

    id: str
    quote: str
    place: str
    reason: str


UNTESTED: tuple[Untested, ...] = (
    Untested(
        "coma-less-diversified",
        "way less diversified than BU3DFE",
        "section 4.4.1",
        "Describes the licensed sets, not a result; the embedded sets were made to differ in the same way.",
    ),
    Untested(
        "diversity-is-the-reason",
        "We actually think this to be reason why",
        "section 4.4.1",
        "A cause: the two sets differ in people, size, capture and topology at once, and no run varies one alone.",
    ),
    Untested(
        "topology-has-influence",
        "different topologies characterizing the meshes",
        "section 4.4.1",
        "A hypothesis: it needs the same faces registered to two templates.",
    ),
    Untested(
        "identities-seen-in-training",
        "at least one model for each of",
        "section 4.4.2",
        "A property of the split, not of a result: tests/data/test_splits.py.",
    ),
    Untested(
        "256-saves-time",
        "save training time and computational complexity",
        "section 4.4.2",
        "A sweep's seconds depend on what else the machine does; the parameters are 256-has-far-fewer-parameters.",
    ),
    Untested(
        "plain-loss-in-less-time",
        "achieves better results in less time",
        "section 4.4.3",
        "The same; the errors are plain-beats-weighted-512.",
    ),
    Untested(
        "other-weights-may-help",
        "further experiments with different weights distributions",
        "sections 4.4.3 and 5",
        "An outlook.",
    ),
    Untested(
        "nose-and-eye-contour",
        "particularly the nose and the eye contour",
        "section 4.4.4, Fig. 9",
        "A run stores its error near all landmarks together, not by part of the face.",
    ),
    Untested(
        "decent-on-less-than-ideal-data",
        "decent results even in less-than-ideal conditions",
        "section 5",
        "Decent has no criterion; that they are worse than COMA's is coma-easier.",
    ),
    Untested(
        "percentage-qualitatively-good",
        "qualitatively good, and resemble rather well",
        "section 4.4.4, Fig. 7",
        "A viewer's judgement without a criterion.",
    ),
    Untested(
        "less-realistic-than-coma",
        "do not reach the realism levels",
        "section 4.4.4",
        "A viewer's judgement of another paper's pictures; the error's counterpart is coma-easier.",
    ),
    Untested(
        "expressions-recognizable",
        "even more extreme expressions remain well recognizable",
        "section 4.4.4, Fig. 8",
        "Needs viewers, or a classifier over all reconstructions, of which a run stores six.",
    ),
    Untested(
        "weighted-looks-comparable",
        "on a level comparable to that",
        "section 4.4.4, Fig. 9",
        "A viewer's judgement, which the paper sets against its numbers: weighted-worse-overall.",
    ),
    Untested(
        "weighted-below-expectations",
        "do not meet all our expectations",
        "section 4.4.4",
        "The expectations are not stated.",
    ),
    Untested(
        "first-of-its-kind",
        "which has never been used together",
        "section 5",
        "About the literature; the same of the identity split, not tested before.",
    ),
)
