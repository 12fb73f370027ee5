"""What all figures share: their style, and how they are written as SVG and as PNG.

matplotlib is an extra: whoever draws calls `require_matplotlib` first, and imports the modules of
figures afterwards.
"""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from prefdata.errors import ConfigError
from prefdata.text.controls import escape_controls

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1d242b", "#5b6672", "#d5dbe1", "#fefefe"
SERIES = ("#2668a8", "#b4540a", "#17795b", "#7a4fa3", "#a32d54", "#6b6a12")
"""Colours that are told apart by colour-blind readers, too, and stand out from white by 4.5 : 1."""
THEMED = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)},
}
"""What a page calls each colour: the custom property `--figure-NAME`."""
WIDTH = 5.8
"""Inches of 72 points."""

STYLE: dict[Any, object] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.color": PAPER,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "prefdata",
    "text.color": INK,
    # Names of judges, sources and reasons are data, not formulas.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.color": MUTED,
    "ytick.labelsize": 10,
}
"""The settings within which a figure is drawn."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"#([A-Za-z_][\w.-]*)")
_FONT = re.compile(r"(?P<size>[\d.]+)px")


def require_matplotlib() -> None:
    """Raise ConfigError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "figures are drawn by matplotlib, which is not installed",
            "Install the extra: pip install prefdata[report]",
        )


def clean_name(name: str, length: int = 28) -> str:
    """A name as a figure shows it: on one line, without controls, and cut where it is long."""
    flat = " ".join(escape_controls(name).split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def write_png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as PNG, light, the same bytes for the same data."""
    return _save(figure, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})


def write_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element to stand in an HTML page.

    Its colours are the page's (`THEMED`), its texts are text, it has no `style` attributes or
    elements, which a Content-Security-Policy would refuse, and it is hidden from screen readers:
    the page has a caption and the table behind it.

    Args:
        figure: A matplotlib `Figure`.
        name: Unique within the page: it begins the ids.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        content = _save(figure, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(content)
    texts = [value for each in root.iter() for value in each.attrib.values()]
    used = {found for value in texts for found in _REFERENCE.findall(value)}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for each in root.iter():
        _take_over(each, name, used)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("class", "figure")
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return ElementTree.tostring(root, encoding="unicode")


def _save(figure: Figure, **options: Any) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings():
        # Names in scripts that matplotlib's font lacks: a page has the reader's fonts, and a
        # picture has boxes in their place.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(sink, **options)
    return sink.getvalue()


def _take_over(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Turn `style` into attributes, colours into the page's, and ids into ones of this figure."""
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = part.strip().partition(":")
        if not value:
            continue
        if key == "font":
            size = _FONT.search(value)
            element.set("font-size", size["size"] if size else "10")
        elif not key.startswith("-"):
            element.set(key, value.strip())
    if "id" in element.attrib:
        if element.attrib["id"] in used:
            element.set("id", f"{name}-{element.attrib['id']}")
        else:
            del element.attrib["id"]
    for key, value in element.attrib.items():
        if value in THEMED:
            element.set(key, f"var(--figure-{THEMED[value]})")
        elif key.endswith("href") or value.startswith("url("):
            element.set(key, _REFERENCE.sub(rf"#{name}-\1", value))
