"""Pictures of assets: single views, turntables, contact sheets."""

from mmgen.previews.animation import check_animation, save_animation, turntable_frames
from mmgen.previews.sheet import SheetRow, contact_sheet
from mmgen.previews.views import render_asset, render_cutout

__all__ = [
    "SheetRow",
    "check_animation",
    "contact_sheet",
    "render_asset",
    "render_cutout",
    "save_animation",
    "turntable_frames",
]
