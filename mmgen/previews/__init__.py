"""Pictures of assets: single views, sweeps of the camera, contact sheets, tables."""

from mmgen.previews.animation import check_animation, save_animation
from mmgen.previews.sheet import SheetRow, contact_sheet
from mmgen.previews.views import View, render_asset, render_cutout, render_view, sweep_frames

__all__ = [
    "SheetRow",
    "View",
    "check_animation",
    "contact_sheet",
    "render_asset",
    "render_cutout",
    "render_view",
    "save_animation",
    "sweep_frames",
]
