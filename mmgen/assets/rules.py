"""Our own rules for GLB files: the format's, and those of the asset contract. No outside tool is needed.

Each rule takes a `View` and yields one message per fault; an `ItemError` while reading is a fault of that rule too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.container import COMPONENT_TYPES, Container, child, listing, malformed, parse_glb, whole_number
from mmgen.assets.findings import Finding, Severity
from mmgen.assets.glb import asset_from_container, main_primitive, provenance_of, texture_bytes
from mmgen.assets.gltf import SEEN, UNLIT, VARIANTS, WEBP
from mmgen.assets.seams import has_repeated_corner
from mmgen.assets.textures import decode_texture
from mmgen.core.errors import ItemError

UNIT_TOLERANCE = 1e-4
GROUND_TOLERANCE = 1e-4
"""Of the body height."""

ATTRIBUTE_WIDTHS = {"POSITION": 3, "NORMAL": 3, "TEXCOORD_0": 2}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
CLAMP_TO_EDGE, REPEAT = 33071, 10497


@dataclass(frozen=True)
class View:
    """A parsed file with its arrays read on first use."""

    container: Container

    @cached_property
    def primitive(self) -> dict[str, Any]:
        """The one mesh primitive."""
        return main_primitive(self.container)

    @cached_property
    def material(self) -> dict[str, Any]:
        """The primitive's material."""
        return self.container.element("materials", self.primitive.get("material"))

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """[F, 3] vertex indices."""
        indices = self.container.array(self.primitive.get("indices"))
        if indices.ndim != 1 or indices.dtype.kind != "u" or len(indices) % 3:
            raise malformed(f"indices of shape {indices.shape} and type {indices.dtype} are no triangles")
        return indices.reshape(-1, 3).astype(np.int64)

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """[H, W, 3] the texture."""
        return decode_texture(texture_bytes(self.container, self.primitive))

    def attribute(self, name: str) -> NDArray[Any]:
        """The values of a vertex attribute."""
        index = child(self.primitive, "attributes").get(name)
        if index is None:
            raise malformed(f"there is no {name}")
        values = self.container.array(index)
        if values.dtype != np.float32 or values.shape[1:] != (ATTRIBUTE_WIDTHS[name],):
            raise malformed(f"{name} is no float32 VEC{ATTRIBUTE_WIDTHS[name]}")
        return values

    def accessor(self, name: str) -> dict[str, Any]:
        """The description of a vertex attribute, or of the indices."""
        source = self.primitive if name == "indices" else child(self.primitive, "attributes")
        return self.container.element("accessors", source.get(name))


COMPRESSION = frozenset({"EXT_meshopt_compression", "KHR_meshopt_compression", "KHR_draco_mesh_compression"})
"""Required by files that `mmgen export --compress` wrote."""


def check_glb(data: bytes, file: str) -> list[Finding]:
    """Everything that is wrong with one GLB."""
    try:
        view = View(parse_glb(data))
    except ItemError as error:
        return [Finding("error", "container", file, error.message)]
    codecs = COMPRESSION & set(map(str, listing(view.container.document, "extensionsRequired")))
    if codecs:
        what = f"its geometry is compressed ({', '.join(sorted(codecs))}) and was not checked; verify the mesh it is of"
        return [Finding("warning", "compressed", file, what)]
    findings: dict[str, Finding] = {}  # by message: one broken part can trip several rules
    for rule in RULES:
        severity: Severity = "warning" if rule in WARNING_RULES else "error"
        try:
            with np.errstate(all="ignore"):  # the rule `finite` speaks about infinities
                messages = list(rule(view))
        except ItemError as error:
            severity, messages = "error", [error.message]
        for message in messages:
            findings.setdefault(message, Finding(severity, rule.__name__, file, message))
    if not any(finding.severity == "error" for finding in findings.values()):
        try:
            asset_from_container(view.container)
        except ItemError as error:
            return [*findings.values(), Finding("error", "reads_back", file, error.message)]
    return list(findings.values())


def buffer_length(view: View) -> Iterator[str]:
    """One buffer, as long as its chunk up to 3 bytes of padding."""
    stated, actual = whole_number(view.container.element("buffers", 0), "byteLength"), len(view.container.binary)
    if not stated <= actual <= stated + 3:
        yield f"the buffer is stated to have {stated} bytes and the chunk has {actual}"
    if len(listing(view.container.document, "buffers")) != 1:
        yield "there is more than one buffer"


def version(view: View) -> Iterator[str]:
    """The document says that it is glTF 2.0."""
    stated = child(view.container.document, "asset").get("version")
    if stated != "2.0":
        yield f"asset.version is {stated!r:.40}, not '2.0'"


def alignment(view: View) -> Iterator[str]:
    """Accessors start at multiples of their component size, vertex data at multiples of 4."""
    for index in range(len(listing(view.container.document, "accessors"))):
        accessor = view.container.element("accessors", index)
        buffer_view = view.container.element("bufferViews", accessor.get("bufferView"))
        offset = whole_number(accessor, "byteOffset", 0) + whole_number(buffer_view, "byteOffset", 0)
        size = int(COMPONENT_TYPES.get(whole_number(accessor, "componentType"), "<f4")[-1])
        if buffer_view.get("target") == ARRAY_BUFFER:
            size = 4
        if offset % size:
            yield f"accessors[{index}] starts at byte {offset}, no multiple of {size}"


def targets(view: View) -> Iterator[str]:
    """Buffer views of vertices and faces have their `target`."""
    for name in ("POSITION", "NORMAL", "TEXCOORD_0", "indices"):
        target = view.container.element("bufferViews", view.accessor(name).get("bufferView")).get("target")
        expected = ELEMENT_ARRAY_BUFFER if name == "indices" else ARRAY_BUFFER
        if target != expected:
            yield f"the buffer view of {name} has target {target!r:.40}, not {expected}"


def counts(view: View) -> Iterator[str]:
    """All vertex attributes are equally long."""
    lengths = {name: len(view.attribute(name)) for name in ("POSITION", "NORMAL", "TEXCOORD_0")}
    if len(set(lengths.values())) > 1:
        yield "vertex attributes differ in length: " + ", ".join(f"{name} {n}" for name, n in lengths.items())


def finite(view: View) -> Iterator[str]:
    """Every number is finite."""
    for name in ("POSITION", "NORMAL", "TEXCOORD_0"):
        bad = int((~np.isfinite(view.attribute(name))).sum())
        if bad:
            yield f"{name} has {bad} numbers that are not finite"


def bounds(view: View) -> Iterator[str]:
    """min and max of POSITION are exactly those of the stored float32 values."""
    positions, accessor = view.attribute("POSITION"), view.accessor("POSITION")
    for name, actual in (("min", positions.min(axis=0)), ("max", positions.max(axis=0))):
        if accessor.get(name) != actual.tolist():
            yield f"POSITION.{name} is {accessor.get(name)!r:.80} and the vertices say {actual.tolist()}"


def index_range(view: View) -> Iterator[str]:
    """Face indices are below the number of vertices."""
    highest, count = int(view.faces.max()), len(view.attribute("POSITION"))
    if highest >= count:
        yield f"a face uses vertex {highest} and there are {count}"


def unit_normals(view: View) -> Iterator[str]:
    """Normals have length 1."""
    off = np.abs(np.linalg.norm(view.attribute("NORMAL").astype(np.float64), axis=-1) - 1)
    if (off > UNIT_TOLERANCE).any():
        yield f"{int((off > UNIT_TOLERANCE).sum())} normals are not of unit length, by up to {off.max():.3g}"


def degenerate_triangles(view: View) -> Iterator[str]:
    """No face has two corners at one position."""
    places = np.unique(_face_points(view).reshape(-1, 3), axis=0, return_inverse=True)[1].reshape(-1, 3)
    bad = int(has_repeated_corner(places).sum())
    if bad:
        yield f"{bad} of {len(places)} faces have two corners at one place"


def thin_triangles(view: View) -> Iterator[str]:
    """Every face has an area."""
    a, b, c = _face_points(view).astype(np.float64).transpose(1, 0, 2)
    longest = np.max([np.linalg.norm(side, axis=1) for side in (b - a, c - b, a - c)], axis=0)
    thin = (np.linalg.norm(np.cross(b - a, c - a), axis=1) <= 1e-7 * longest**2) & (longest > 0)
    if thin.any():
        yield f"{int(thin.sum())} of {len(a)} faces have no area"


def texture(view: View) -> Iterator[str]:
    """The texture decodes."""
    if view.image.size == 0:
        yield "the texture has no texels"


def texture_size(view: View) -> Iterator[str]:
    """Texture sides are powers of two."""
    height, width = view.image.shape[:2]
    if height & (height - 1) or width & (width - 1):
        yield f"the texture has {width} x {height} texels; some viewers want powers of two"


def sampler(view: View) -> Iterator[str]:
    """u clamps and v wraps, as the texture coordinates expect."""
    info = child(view.material, "pbrMetallicRoughness", "baseColorTexture")
    entry = view.container.element("textures", info.get("index"))
    if WEBP in child(entry, "extensions") and WEBP not in listing(view.container.document, "extensionsRequired"):
        yield f"the texture is WebP only and the file does not require {WEBP}"
    stored = view.container.element("samplers", entry.get("sampler"))
    wrap = (stored.get("wrapS", REPEAT), stored.get("wrapT", REPEAT))
    if wrap != (CLAMP_TO_EDGE, REPEAT):
        yield f"the texture wraps as {wrap}, not clamped in u and repeated in v"


def extensions(view: View) -> Iterator[str]:
    """Nothing is required but WebP textures; what materials use is declared, and nothing else is."""
    document = view.container.document
    required, used = ([str(name) for name in listing(document, f"extensions{kind}")] for kind in ("Required", "Used"))
    if set(required) - {WEBP}:
        yield "it requires extensions, which plain viewers refuse"
    materials = [view.container.element("materials", index) for index in range(len(listing(document, "materials")))]
    actual = {name for material in materials for name in child(material, "extensions")}
    actual |= {*child(view.primitive, "extensions"), *required}
    if set(used) != actual:
        yield f"extensionsUsed names {sorted(used)} and the file uses {sorted(actual)}"


def materials(view: View) -> Iterator[str]:
    """A rough opaque non-metal, lit or unlit; where there are variants, unlit comes first."""
    for index in range(len(listing(view.container.document, "materials"))):
        material = view.container.element("materials", index)
        surface = child(material, "pbrMetallicRoughness")
        fallback = (surface.get("metallicFactor", 1), surface.get("roughnessFactor", 1))
        if fallback != (0, 1):
            yield f"material {index} has metal {fallback[0]} and roughness {fallback[1]}, not 0 and 1"
        if material.get("alphaMode", "OPAQUE") != "OPAQUE" or material.get("doubleSided", False):
            yield f"material {index} is not opaque and single-sided"
    if VARIANTS in child(view.primitive, "extensions") and UNLIT not in child(view.material, "extensions"):
        yield f"there are variants and the first one does not use {UNLIT}"


def seen(view: View) -> Iterator[str]:
    """`_SEEN`, where it is there, is in 0..1."""
    index = child(view.primitive, "attributes").get(SEEN)
    if index is not None:
        values = view.container.array(index)
        if values.shape != (len(view.attribute("POSITION")),) or not ((values >= 0) & (values <= 1)).all():
            yield f"{SEEN} is not one number from 0 to 1 per vertex"


def feet_on_ground(view: View) -> Iterator[str]:
    """The lowest point is at y = 0."""
    heights = view.attribute("POSITION")[:, 1].astype(np.float64)
    if not abs(heights.min()) <= GROUND_TOLERANCE * max(np.ptp(heights), 1e-9):
        yield f"the lowest point is at y = {heights.min():.5g} m, not on the ground"


def provenance(view: View) -> Iterator[str]:
    """asset.extras.mmgen says where the asset comes from."""
    if not provenance_of(view.container):
        yield "asset.extras.mmgen is missing: nothing says where the asset comes from"


def _face_points(view: View) -> NDArray[Any]:
    """[F, 3, 3] corner positions."""
    positions = view.attribute("POSITION")
    if view.faces.max() >= len(positions):
        raise malformed(next(index_range(view)))
    return np.asarray(positions[view.faces])


Rule = Callable[[View], Iterator[str]]

RULES: tuple[Rule, ...] = (
    version,
    buffer_length,
    alignment,
    targets,
    counts,
    finite,
    bounds,
    index_range,
    unit_normals,
    degenerate_triangles,
    thin_triangles,
    texture,
    texture_size,
    sampler,
    extensions,
    materials,
    seen,
    feet_on_ground,
    provenance,
)
WARNING_RULES: tuple[Rule, ...] = (thin_triangles, texture_size)
