"""Pictures to teach the mask network with: people of `mmgen synth`, cut out, in front of anything at all.

Needs OpenCV (the extra `masks`); nothing that a user runs imports it.
"""

from mmgen.mask_training.scenes.compose import Scene, Scenes, photographed
from mmgen.mask_training.scenes.cutouts import Bank, joined, load_bank

__all__ = ["Bank", "Scene", "Scenes", "joined", "load_bank", "photographed"]
