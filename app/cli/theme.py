"""Colours of the command line, by the terminal's background."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

THEME_VARIABLE = "CORRAL_THEME"

Theme = Literal["dark", "light"]

_DARK = {"0", "1", "2", "3", "4", "5", "6", "8"}  # as terminals count them in COLORFGBG


@dataclass(frozen=True, slots=True)
class Palette:
    """Numbers of the 256 colours that terminals know. `track`: the part of a bar that is to come.
    `muted`: what is aside."""

    good: int
    warn: int
    bad: int
    accent: int
    name: int
    text: int
    number: int
    muted: int
    track: int


PALETTES: Mapping[Theme, Palette] = {
    "dark": Palette(
        good=10, warn=11, bad=9, accent=12, name=14, text=11, number=13, muted=245, track=240
    ),
    # Halfway between white and black, so that they can be read on both. The first 16 are not among
    # them: terminals mean those for their own background, or for black.
    "light": Palette(
        good=28, warn=130, bad=161, accent=27, name=30, text=28, number=164, muted=243, track=243
    ),
}


def choose_theme() -> Theme:
    """As the user says, or as the terminal tells; `light` can be read where nobody does."""
    if said := parse_theme(os.environ.get(THEME_VARIABLE, "")):
        return said
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return "dark" if background in _DARK else "light"


def parse_theme(text: str) -> Theme | None:
    """None: there is none of this name."""
    match text.strip().lower():
        case "dark" | "light" as theme:
            return theme
        case _:
            return None


def choose_palette() -> Palette:
    return PALETTES[choose_theme()]
