"""Expressions as activations of facial action units, after the protocols of COMA and BU3DFE.

A *channel* is one muscle action the generator can drive. Left and right sides of a face share a channel; a
channel's `units` name the CC0 targets it moves, either ARKit-style (one per side) or MakeHuman's, which exist in
three ethnicity versions.
"""

from __future__ import annotations

from types import MappingProxyType

# channel -> ((left-side targets), (right-side targets), (two-sided targets), (ethnicity-specific targets))
CHANNELS = MappingProxyType(
    {
        "brow_inner_up": ((), (), ("browInnerUp",), ()),
        "brow_outer_up": (("browOuterUpLeft",), ("browOuterUpRight",), (), ()),
        "brow_down": (("browDownLeft",), ("browDownRight",), (), ()),
        "brow_raise": ((), (), (), ("eyebrows-left-up", "eyebrows-right-up")),
        "blink": (("eyeBlinkLeft",), ("eyeBlinkRight",), (), ()),
        "squint": (("eyeSquintLeft",), ("eyeSquintRight",), (), ()),
        "eye_wide": (("eyeWideLeft",), ("eyeWideRight",), (), ()),
        "cheek_squint": (("cheekSquintLeft",), ("cheekSquintRight",), (), ()),
        "cheek_puff": ((), (), ("cheekPuff",), ()),
        "nose_sneer": (("noseSneerLeft",), ("noseSneerRight",), (), ()),
        "nose_raise": ((), (), (), ("nose-left-elevation", "nose-right-elevation")),
        "smile": (("mouthSmileLeft",), ("mouthSmileRight",), (), ()),
        "corner_pull": ((), (), (), ("mouth-corner-puller",)),
        "frown": (("mouthFrownLeft",), ("mouthFrownRight",), (), ()),
        "dimple": (("mouthDimpleLeft",), ("mouthDimpleRight",), (), ()),
        "stretch": (("mouthStretchLeft",), ("mouthStretchRight",), (), ()),
        "press": (("mouthPressLeft",), ("mouthPressRight",), (), ()),
        "upper_up": (("mouthUpperUpLeft",), ("mouthUpperUpRight",), (), ()),
        "lower_down": (("mouthLowerDownLeft",), ("mouthLowerDownRight",), (), ()),
        "retraction": ((), (), (), ("mouth-retraction",)),
        "elevation": ((), (), (), ("mouth-elevation",)),
        "funnel": ((), (), ("mouthFunnel",), ()),
        "pucker": ((), (), ("mouthPucker",), ()),
        "roll_lower": ((), (), ("mouthRollLower",), ()),
        "roll_upper": ((), (), ("mouthRollUpper",), ()),
        "shrug_lower": ((), (), ("mouthShrugLower",), ()),
        "shrug_upper": ((), (), ("mouthShrugUpper",), ()),
        "mouth_left": ((), (), ("mouthLeft",), ()),
        "mouth_right": ((), (), ("mouthRight",), ()),
        "jaw_forward": ((), (), ("jawForward",), ()),
        "jaw_left": ((), (), ("jawLeft",), ()),
        "jaw_right": ((), (), ("jawRight",), ()),
        "platysma": ((), (), (), ("neck-platysma",)),
        "jaw_open": ((), (), ("jawOpen",), ()),
    }
)

# Muscles that fire together: (driver, follower, gain). Applied once, to the drivers' own activations.
COACTIVATION = (
    ("smile", "cheek_squint", 0.45),
    ("smile", "squint", 0.25),
    ("nose_sneer", "upper_up", 0.2),
    ("nose_sneer", "brow_down", 0.2),
    ("jaw_open", "lower_down", 0.12),
    ("jaw_open", "brow_outer_up", 0.08),
    ("press", "shrug_lower", 0.15),
    ("eye_wide", "brow_outer_up", 0.2),
    ("stretch", "platysma", 0.25),
)

# COMA's twelve extreme expressions (Ranjan et al. 2018, section 4.1), as activations at the apex.
COMA = MappingProxyType(
    {
        "bareteeth": {
            "upper_up": 0.9,
            "lower_down": 0.9,
            "stretch": 0.7,
            "nose_sneer": 0.45,
            "retraction": 0.35,
        },
        "cheeks_in": {"cheek_puff": -0.75, "pucker": 0.55, "shrug_lower": 0.2, "jaw_open": 0.06},
        "eyebrow": {"brow_inner_up": 0.9, "brow_outer_up": 0.9, "brow_raise": 0.5, "eye_wide": 0.5},
        "high_smile": {"smile": 0.9, "corner_pull": 0.2, "upper_up": 0.4, "dimple": 0.15},
        "lips_back": {
            "retraction": 0.7,
            "stretch": 0.6,
            "roll_lower": 0.55,
            "roll_upper": 0.35,
            "press": 0.3,
        },
        "lips_up": {"shrug_upper": 0.8, "upper_up": 0.75, "nose_sneer": 0.5, "shrug_lower": 0.35},
        "mouth_down": {"frown": 0.95, "lower_down": 0.45, "platysma": 0.5, "shrug_lower": 0.25},
        "mouth_extreme": {
            "jaw_open": 1.0,
            "stretch": 0.6,
            "upper_up": 0.4,
            "brow_raise": 0.5,
            "eye_wide": 0.4,
        },
        "mouth_middle": {"funnel": 0.55, "pucker": 0.5, "jaw_open": 0.12},
        "mouth_open": {"jaw_open": 0.8, "lower_down": 0.25},
        "mouth_side": {"mouth_left": 0.9, "jaw_left": 0.7, "dimple": 0.25},
        "mouth_up": {"shrug_lower": 0.85, "elevation": 0.6, "press": 0.4, "pucker": 0.25},
    }
)

# BU3DFE's prototypic expressions (Yin et al. 2006) after the usual action-unit descriptions of FACS.
BU3DFE = MappingProxyType(
    {
        "neutral": {},
        "angry": {"brow_down": 0.95, "squint": 0.55, "press": 0.65, "nose_sneer": 0.35, "jaw_forward": 0.4},
        "disgust": {"nose_sneer": 0.95, "nose_raise": 0.5, "upper_up": 0.6, "brow_down": 0.55, "squint": 0.5,
                    "shrug_lower": 0.3},
        "fear": {"brow_inner_up": 0.85, "brow_raise": 0.4, "eye_wide": 0.85, "stretch": 0.7, "jaw_open": 0.2,
                 "lower_down": 0.3},
        "happy": {"smile": 0.9, "corner_pull": 0.35, "upper_up": 0.35, "dimple": 0.2, "jaw_open": 0.1},
        "sad": {"brow_inner_up": 0.8, "brow_down": 0.3, "frown": 0.9, "shrug_lower": 0.5, "blink": 0.15},
        "surprise": {"jaw_open": 0.65, "brow_inner_up": 0.8, "brow_outer_up": 0.95, "eye_wide": 0.9,
                     "funnel": 0.15},
    }
)  # fmt: skip
