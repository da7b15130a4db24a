"""Pictures of one identity after the other, in memory: for training, tests and the data set writer."""

from collections.abc import Iterator
from dataclasses import dataclass

from mmgen.synth.bags import carried_by
from mmgen.synth.casting import CASTINGS
from mmgen.synth.identity import Identity, identity
from mmgen.synth.mesh import DEFAULT_STEP_M, BodyMesh, body_mesh
from mmgen.synth.person import stride_limit
from mmgen.synth.pose import Pose, sample_pose
from mmgen.synth.stance import sample_stance
from mmgen.synth.streams import stream
from mmgen.synth.street import CAMERA_COUNT, street_camera
from mmgen.synth.view import Picture, render_view
from mmgen.synth.viewpoint import sample_view


@dataclass(frozen=True)
class CrowdOptions:
    """How every identity is photographed.

    Attributes:
        views: Pictures per identity, >= 1.
        poses: Poses per identity, 1..views; pictures take turns, those of one pose share the mesh.
        step_m: Grid spacing of the meshes, metres.
        style: One of `casting.STYLES`.
        bodies: `capsules` or `anny`, see `mesh.body_mesh`.
    """

    seed: int = 0
    views: int = 8
    poses: int = 2
    height: int = 128
    width: int = 64
    step_m: float = DEFAULT_STEP_M
    style: str = "street"
    bodies: str = "capsules"


@dataclass(frozen=True)
class Person:
    """One picture of one identity.

    Attributes:
        pose: Number of the pose, 0..poses - 1; equal numbers share the mesh.
        view: Number of the picture, 0..views - 1.
        camera: 1..6.
    """

    identity: Identity
    pose: int
    view: int
    camera: int
    picture: Picture
    body: BodyMesh


def cameras_of(options: CrowdOptions, split: str, index: int) -> list[int]:
    """Camera of every view: 1 to 6 cameras per identity, at least two views each as soon as there are four views."""
    order = stream(options.seed, split, index, "cameras").permutation(CAMERA_COUNT) + 1
    count = min(options.views, max(2, min(CAMERA_COUNT, options.views // 2)))
    return [int(order[view * count // options.views]) for view in range(options.views)]


def pose_of(options: CrowdOptions, who: Identity, number: int) -> Pose:
    """Pose `number` of an identity: the first mostly walks, later ones walk, stand or pose."""
    posing = stream(options.seed, who.split, who.index, f"stance/{number}")
    if posing.random() < CASTINGS[options.style].posing * (0.5 if number == 0 else 1.0):
        return sample_stance(posing, carried_by(who), stride_limit(who))
    generator = stream(options.seed, who.split, who.index, f"pose/{number}")
    walking = CASTINGS[options.style].walking
    kind = "walk" if generator.random() < (0.75 if number == 0 else walking) else "stand"
    return sample_pose(generator, kind, carried_by(who), stride_limit(who))


def person_pictures(options: CrowdOptions, split: str, index: int) -> Iterator[Person]:
    """All pictures of one identity, by view number.

    Args:
        split: `train` or `test`.
        index: Identity within the split, from 0.
    """
    who = identity(options.seed, split, index, options.style)
    meshes: dict[int, BodyMesh] = {}
    for view, camera in enumerate(cameras_of(options, split, index)):
        pose = view % options.poses
        if pose not in meshes:
            meshes[pose] = body_mesh(who, pose_of(options, who, pose), options.step_m, options.bodies)
        generator = stream(options.seed, split, index, f"view/{view}")
        chosen = sample_view(generator, street_camera(options.seed, camera, options.style), meshes[pose].height_m)
        picture = render_view(meshes[pose], chosen, options.height, options.width)
        yield Person(who, pose, view, camera, picture, meshes[pose])


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
