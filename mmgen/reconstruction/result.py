"""What every way of reconstructing shares: the step from a textured body to an asset with its provenance."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.assets.rig import rigged
from mmgen.core.version import __version__
from mmgen.masks.structures import Signs
from mmgen.reconstruction.confidence import Evidence, confidence_of
from mmgen.reconstruction.job import options_digest
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.reconstruction.prepare import Prepared
from mmgen.templates import named_template
from mmgen.work.records import Facing, PhotoRecord
from recon.camera import faces
from recon.predict import PhotoFit
from recon.structures import Camera, TexturedMesh


@dataclass(frozen=True)
class Body:
    """One textured body in its crop.

    Attributes:
        mesh: a batch of one, world frame, facing +z; the texture is what the photo shows, light included.
        camera: a batch of one, offset in the camera frame.
        seen_fraction: share of the texture that the photo showed.
        seen: [V] 1 where the photo showed the surface, 0 where it is a guess.
        offsets_source: where the shape comes from, in words.
        fit: how well it explains its photo.
        light: spherical harmonics that the networks read from the photo; empty without networks.
        is_turned: whether the networks' first camera had the person face another way.
        stretched_triangles: see `recon.fitting.stretch`.
    """

    mesh: TexturedMesh
    camera: Camera
    seen_fraction: float
    seen: torch.Tensor
    offsets_source: str
    fit: PhotoFit
    light: tuple[float, ...] = ()
    is_turned: bool = False
    stretched_triangles: int = 0


@dataclass(frozen=True)
class Reconstructed:
    """One asset and how well it explains its photo."""

    asset: Asset
    mask_iou: float
    ssim: float
    mask_source: str
    input_sha256: str
    mask_sha256: str
    notes: tuple[str, ...]
    mask_quality: float | None
    person: tuple[int, int] = (1, 1)
    photos: tuple[PhotoRecord, ...] = ()

    @property
    def facing(self) -> Facing:
        """Whether the person in the photo is seen from the front or from behind."""
        return facing_of(self.asset.provenance["camera"]["azimuth_deg"])


@dataclass(frozen=True)
class RunContext:
    """What all results of a run have in common."""

    options: ReconstructOptions
    weights_sha256: str
    facts: dict[str, Any] = field(default_factory=dict)


def finish(item: Prepared, body: Body, origin: RunContext) -> Reconstructed:
    """The asset of a body, measured against its photo, with its provenance."""
    found = item.found
    provenance = provenance_of(item, body, origin)
    asset = asset_of(item.name, body, _height(item, origin)[0], provenance, origin.options.rig)
    return Reconstructed(
        asset,
        body.fit.mask_iou,
        body.fit.ssim,
        found.source,
        item.input_sha256,
        found.sha256,
        item.notes,
        found.quality,
        item.person,
    )


def asset_of(
    name: str, body: Body, body_length_m: float, provenance: dict[str, Any], with_skeleton: bool = False
) -> Asset:
    """The asset of a body in metres, standing on the ground.

    Raises:
        ItemError: `rig_other_mesh`, where a skeleton is wanted for a template that has none.
    """
    mesh = body.mesh
    vertices = mesh.vertices[0].cpu().numpy()
    asset = Asset(
        name=name,
        vertices=_placed(vertices, body_length_m),
        faces=mesh.faces.cpu().numpy(),
        face_uv=mesh.face_uv.cpu().numpy(),
        texture=(mesh.texture[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy(),
        provenance=provenance | {"placement": placement(vertices)},
        seen=_steps(body.seen),
    )
    return replace(asset, rig=rigged(asset, named_template("person"))) if with_skeleton else asset


def placement(body: NDArray[np.float32]) -> dict[str, Any]:
    """Where the asset's frame lies in the camera's: `height` of the body and `pivot` [x, y, z], template units."""
    height = float(np.ptp(body[:, 1]))
    pivot = (body - place_on_ground(body, height)).mean(axis=0)
    return {"height": round(height, 6), "pivot": [round(float(value), 6) for value in pivot]}


def provenance_of(item: Prepared, body: Body, origin: RunContext) -> dict[str, Any]:
    """Where an asset comes from, as JSON: photo, mask, weights, options, camera and quality."""
    options, camera = origin.options.result_options(), body.camera
    height_m, height_source = _height(item, origin)
    return {
        "version": __version__,
        "input": item.item.name,
        "input_sha256": item.input_sha256,
        "mask_source": item.found.source,
        "mask_sha256": item.found.sha256,
        "mask_quality": item.found.quality,
        **({} if item.found.masker is None else {"masker": item.found.masker}),
        "weights_sha256": origin.weights_sha256,
        **({} if item.person[1] == 1 else {"person": {"number": item.person[0], "of": item.person[1]}}),
        "options": options,
        "options_sha256": options_digest(options),
        "seed": origin.options.seed,
        "offsets_source": body.offsets_source,
        "light": "in the texture",
        **({"light_predicted": [round(value, 6) for value in body.light]} if body.light else {}),
        "camera": {
            "azimuth_deg": _rounded(camera.azimuth_deg[0]),
            "elevation_deg": _rounded(camera.elevation_deg[0]),
            "distance": _rounded(camera.distance[0]),
            "offset": [_rounded(value) for value in camera.offset[0]],
            "focal": camera.focal,
        },
        "facing": {"side": facing_of(_rounded(camera.azimuth_deg[0])), "asked": item.facing, "turned": body.is_turned},
        **({} if item.signs is None else {"signs": signs_as_json(item.signs)}),
        "crop_px": {name: round(getattr(item.box, name), 3) for name in ("left", "top", "width", "height")},
        "photo_size_px": list(item.photo_size),
        "height_m": height_m,
        "height_source": height_source,
        "mask_iou": round(body.fit.mask_iou, 6),
        "ssim": round(body.fit.ssim, 6),
        "seen_fraction": round(body.seen_fraction, 6),
        "stretched_triangles": body.stretched_triangles,
        **_confidence(item, body, origin),
    }


def _confidence(item: Prepared, body: Body, origin: RunContext) -> dict[str, Any]:
    found, asked = item.found, item.facing is not None and origin.options.facing != "auto"
    evidence = Evidence(found.mask, found.quality, body.fit.mask_iou, origin.options.steps > 0, item.signs, asked)
    said = confidence_of(evidence)
    return {"confidence": said.value, "doubts": list(said.doubts)}


def signs_as_json(signs: Signs) -> dict[str, Any]:
    """What the person network says, chances in thousandths."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(signs).items()}


def facing_of(azimuth_deg: float) -> Facing:
    """`front` or `back`."""
    return "front" if faces(azimuth_deg, "front") else "back"


def _height(item: Prepared, origin: RunContext) -> tuple[float, str]:
    """Metres and where they come from: this person's own height, or the run's."""
    if item.item.height_m is not None:
        return item.item.height_m, "given"
    return origin.options.height_m, origin.options.height_source


def _placed(body: NDArray[np.float32], body_length_m: float) -> NDArray[np.float32]:
    """Metres, feet on the ground; a person who lies is as long, not as high, as others are high."""
    width, height, _ = np.ptp(body, axis=0)
    return place_on_ground(body, body_length_m * min(1.0, float(height / width)))


def _steps(share: torch.Tensor) -> NDArray[np.float32]:
    """In steps of 1/255, which is finer than it is known."""
    return np.asarray((share * 255).round().cpu().numpy() / 255, dtype=np.float32)


def _rounded(value: torch.Tensor) -> float:
    return round(float(value), 6)
