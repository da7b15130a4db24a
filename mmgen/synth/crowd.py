"""Pictures of one identity after the other, in memory: for training, tests and the data set writer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmgen.synth.avatar import AvatarIdentity, avatar_identity
from mmgen.synth.avatar_body import avatar_body
from mmgen.synth.bags import carried_by
from mmgen.synth.casting import CASTINGS
from mmgen.synth.cloth import in_cloth
from mmgen.synth.cut import cut_view
from mmgen.synth.identity import Identity, identity
from mmgen.synth.market import sample_market_view
from mmgen.synth.mesh import DEFAULT_STEP_M, body_mesh
from mmgen.synth.person import stride_limit
from mmgen.synth.pose import Pose, photographing, sample_pose
from mmgen.synth.stance import sample_stance
from mmgen.synth.streams import stream
from mmgen.synth.street import CAMERA_COUNT, street_camera
from mmgen.synth.view import Body, Picture, View, render_view
from mmgen.synth.viewpoint import sample_view
from mmgen.synth.world import sample_world_view

AVATAR_SHARE = 0.5
"""Of mixed people."""

LARGEST_TILT_DEG = 8.0

Who = Identity | AvatarIdentity


@dataclass(frozen=True)
class CrowdOptions:
    """How every identity is photographed.

    Attributes:
        views: Pictures per identity, >= 1.
        poses: Poses per identity, 1..views; pictures take turns, those of one pose share the mesh.
        step_m: Grid spacing of the meshes, metres.
        style: One of `casting.STYLES`.
        bodies: `capsules` or `anny`, see `mesh.body_mesh`; `avatars`; or `mixed`, capsules and avatars.
        avatars: Folder of rigged GLBs.
        cloth: Folder of photos of garments, for the clothes of our own people.
        cut: Share of pictures that end at the shin, knee, hip or waist, 0..1.
    """

    seed: int = 0
    views: int = 8
    poses: int = 2
    height: int = 128
    width: int = 64
    step_m: float = DEFAULT_STEP_M
    style: str = "street"
    bodies: str = "capsules"
    avatars: Path | None = None
    cloth: Path | None = None
    cut: float = 0.0


@dataclass(frozen=True)
class Person:
    """One picture of one identity.

    Attributes:
        pose: Number of the pose, 0..poses - 1; equal numbers share the mesh.
        view: Number of the picture, 0..views - 1.
        camera: 1..6.
    """

    identity: Who
    pose: int
    view: int
    camera: int
    picture: Picture
    body: Body


def cameras_of(options: CrowdOptions, split: str, index: int) -> list[int]:
    """Camera of every view: 1 to 6 cameras per identity, at least two views each as soon as there are four views."""
    order = stream(options.seed, split, index, "cameras").permutation(CAMERA_COUNT) + 1
    count = min(options.views, max(2, min(CAMERA_COUNT, options.views // 2)))
    return [int(order[view * count // options.views]) for view in range(options.views)]


def who_is(options: CrowdOptions, split: str, index: int) -> Who:
    """Person number `index` of a split; the same whatever else is generated.

    Raises:
        FatalError: `no_avatars`; `no_cloth`; `cloth_unusable`.
    """
    is_avatar = options.bodies == "avatars"
    if options.bodies == "mixed":
        is_avatar = stream(options.seed, split, index, "mixed").random() < AVATAR_SHARE
    if is_avatar:
        assert options.avatars is not None
        return avatar_identity(options.seed, split, index, options.avatars)
    who = identity(options.seed, split, index, options.style)
    return who if options.cloth is None else in_cloth(who, options.seed, options.cloth)


def pose_of(options: CrowdOptions, who: Who, number: int) -> Pose:
    """Pose `number` of an identity: the first mostly walks, later ones walk, stand or pose."""
    casting = CASTINGS[options.style]
    carrying, limit = ((False, False), 1.0)
    if isinstance(who, Identity):
        carrying, limit = carried_by(who), stride_limit(who)
    posing = stream(options.seed, who.split, who.index, f"stance/{number}")
    if posing.random() < casting.posing * (0.5 if number == 0 else 1.0):
        pose = sample_stance(posing, carrying, limit)
    else:
        generator = stream(options.seed, who.split, who.index, f"pose/{number}")
        kind = "walk" if generator.random() < (0.75 if number == 0 else casting.walking) else "stand"
        pose = sample_pose(generator, kind, carrying, limit)
    if casting.photographing and isinstance(who, Identity):
        generator = stream(options.seed, who.split, who.index, f"photographing/{number}")
        if generator.random() < casting.photographing:
            pose = photographing(generator, pose, carrying)
    if casting.tilt_deg:
        tilt = stream(options.seed, who.split, who.index, f"tilt/{number}").normal(0, casting.tilt_deg)
        pose = replace(pose, tilt_deg=float(np.clip(tilt, -LARGEST_TILT_DEG, LARGEST_TILT_DEG)))
    return pose


def _body(options: CrowdOptions, who: Who, pose: Pose) -> Body:
    if isinstance(who, Identity):
        bodies = "anny" if options.bodies == "anny" else "capsules"
        return body_mesh(who, pose, options.step_m, bodies, options.cloth)
    assert options.avatars is not None
    return avatar_body(who, options.avatars, pose)


def _view(options: CrowdOptions, generator: np.random.Generator, camera: int, body: Body) -> View:
    street = street_camera(options.seed, camera, options.style)
    if options.style == "world":
        return sample_world_view(generator, street, body, options.width / options.height)
    if options.style == "market":
        return sample_market_view(generator, street, body, options.width / options.height)
    return sample_view(generator, street, body.height_m)


def person_pictures(options: CrowdOptions, split: str, index: int) -> Iterator[Person]:
    """All pictures of one identity, by view number.

    Args:
        split: `train` or `test`.
        index: Identity within the split, from 0.

    Raises:
        FatalError: `no_avatars`; `avatar_unusable`; `no_cloth`; `cloth_unusable`.
    """
    who = who_is(options, split, index)
    bodies: dict[int, Body] = {}
    for view, camera in enumerate(cameras_of(options, split, index)):
        pose = view % options.poses
        if pose not in bodies:
            bodies[pose] = _body(options, who, pose_of(options, who, pose))
        generator = stream(options.seed, split, index, f"view/{view}")
        chosen = _view(options, generator, camera, bodies[pose])
        cutting = stream(options.seed, split, index, f"cut/{view}")
        if cutting.random() < options.cut:
            chosen = cut_view(cutting, chosen, bodies[pose], options.width / options.height)
        picture = render_view(bodies[pose], chosen, options.height, options.width)
        yield Person(who, pose, view, camera, picture, bodies[pose])


def compile_once() -> None:
    """Draw one tiny picture, so that what has to be compiled is in the cache before many processes want it."""
    for _ in person_pictures(CrowdOptions(views=1, poses=1, height=32, width=16), "train", 0):
        pass


def people(split: str, count: int, options: CrowdOptions | None = None) -> Iterator[Person]:
    """Pictures of identities 0..count - 1 of a split, identity by identity.

    Args:
        split: `train` or `test`.
        options: How; the defaults when None.
    """
    for index in range(count):
        yield from person_pictures(options or CrowdOptions(), split, index)
