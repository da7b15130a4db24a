"""Pictures to teach the person network with: photos, avatars and nobody, put together anew each time.

Needs OpenCV (the extra `masks`); nothing that a user runs imports it.
"""

from mmgen.mask_training.scenes.compose import SHARES, Scene, Scenes, Sources

__all__ = ["SHARES", "Scene", "Scenes", "Sources"]
