"""Which figures people see, under which names, beside which trivial answers."""

from collections.abc import Mapping
from dataclasses import dataclass

HEADINGS = ("measure", "scored", "mean template", "cardboard cut-out")
PREFIXES = ("", "template_", "billboard_")

GROUPS: dict[str, dict[str, str]] = {
    "The photo's own view": {
        "mask_iou": "MaskIoU",
        "covered_iou": "IoU of covered pixels",
        "ssim": "SSIM",
        "ssim_in_mask": "SSIM inside the mask",
    },
    "Other views, true relative camera": {
        "novel_mask_iou": "MaskIoU at ±60°, ±90°",
        "novel_ssim": "SSIM at ±60°, ±90°",
        "back_mask_iou": "MaskIoU at 180°",
        "back_ssim": "SSIM at 180°",
    },
    "Other views of the body, true camera alone": {
        "body_near_mask_iou": "MaskIoU at 30° to 90°",
        "body_near_ssim": "SSIM at 30° to 90°",
        "body_far_mask_iou": "MaskIoU at 120° to 180°",
        "body_far_ssim": "SSIM at 120° to 180°",
    },
    "Shape, canonical frame": {
        "chamfer": "Chamfer / height (less is better)",
        "volume_iou": "Volume IoU",
    },
    "Camera": {
        "azimuth_error_deg_median": "Azimuth error, median, °",
        "azimuth_error_deg_mean": "Azimuth error, mean, °",
        "azimuth_within_20_deg": "Azimuth within 20°",
        "front_back_accuracy": "Front and back told apart",
        "azimuth_spread_deg": "Spread of the azimuths, °",
        "elevation_error_deg": "Elevation error, °",
        "distance_error": "Distance error, relative",
    },
    "Distances between sets of images": {
        "fid_recon": "FID, same view",
        "fid_novel": "FID, random views",
        "fid_90": "FID, ±90°",
        "frechet_colour_edge_recon": "Colour-edge Fréchet, same view",
        "frechet_colour_edge_novel": "Colour-edge Fréchet, random views",
        "frechet_colour_edge_90": "Colour-edge Fréchet, ±90°",
    },
    "Is the truth read right?": {
        "truth_mask_iou": "MaskIoU of the true mesh",
    },
}


@dataclass(frozen=True)
class Line:
    """One line of the table: a group's heading, or a measure with a cell per column."""

    label: str
    cells: tuple[str, ...] = ()

    @property
    def is_heading(self) -> bool:
        """Whether it only names what follows."""
        return not self.cells


@dataclass(frozen=True)
class FigureTable:
    """All figures there are; groups, lines and columns without any are left out.

    Attributes:
        headings: headings of the columns, that of the measures first.
        lines: from top to bottom.
    """

    headings: tuple[str, ...]
    lines: tuple[Line, ...]


def table_of(metrics: Mapping[str, float]) -> FigureTable:
    """The table of the metrics of an evaluation."""
    known = [name for measures in GROUPS.values() for name in measures]
    columns = [
        (prefix, heading)
        for prefix, heading in zip(PREFIXES, HEADINGS[1:], strict=True)
        if prefix == "" or any(prefix + name in metrics for name in known)
    ]
    lines: list[Line] = []
    for heading, measures in GROUPS.items():
        rows = [
            Line(label, tuple(shown(name, metrics.get(prefix + name)) for prefix, _ in columns))
            for name, label in measures.items()
            if name in metrics
        ]
        if rows:
            lines += [Line(heading), *rows]
    return FigureTable((HEADINGS[0], *(heading for _, heading in columns)), tuple(lines))


def shown(name: str, value: float | None) -> str:
    """A figure with as many digits as mean something; nothing for None."""
    if value is None:
        return ""
    if "_deg" in name and "within" not in name:
        return f"{value:.1f}"
    if name.startswith("fid"):
        return f"{value:.1f}"
    return f"{value:.4f}" if name == "chamfer" or name.startswith("frechet") else f"{value:.3f}"
