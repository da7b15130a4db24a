"use strict";
// Reads plain GLBs. No network, nobody else's code.

const REPEAT = 10497;
const WHITE = { bitmap: new ImageData(new Uint8ClampedArray([255, 255, 255, 255]), 1), wrapS: REPEAT, wrapT: REPEAT };
const ARRAYS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const UNREADABLE = new Error("has a texture that is no picture");
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 };

/** Split a GLB into its JSON and binary chunks. Errors here and below are sentences for a person. */
function splitGlb(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 28 || view.getUint32(0, true) !== 0x46546c67) throw new Error("not a GLB file");
  const jsonEnd = 20 + view.getUint32(12, true);
  const gltf = JSON.parse(new TextDecoder().decode(bytes.subarray(20, jsonEnd)));
  const required = (gltf.extensionsRequired || []).join(", ");
  if (required) throw new Error(`needs ${required}, which this viewer cannot read`);
  const joints = new Set((gltf.skins || []).flatMap((skin) => skin.joints)); // at rest they move nothing
  const moved = (gltf.nodes || []).some(
    (node, index) => !joints.has(index) && (node.matrix || node.translation || node.rotation || node.scale),
  );
  if (moved) throw new Error("has moved or scaled nodes, which this viewer cannot read");
  return { gltf, binary: bytes.subarray(jsonEnd + 8) };
}

/** One accessor as a tight typed array with what WebGL must know about it. */
function readAccessor({ gltf, binary }, index) {
  if (index === undefined) return null;
  const accessor = gltf.accessors[index];
  const view = gltf.bufferViews[accessor.bufferView];
  const [Type, width] = [ARRAYS[accessor.componentType], WIDTHS[accessor.type]];
  const itemBytes = width * Type.BYTES_PER_ELEMENT;
  const packed = new Uint8Array(accessor.count * itemBytes);
  for (let item = 0; item < accessor.count; item++) {
    const from = (view.byteOffset || 0) + (accessor.byteOffset || 0) + item * (view.byteStride || itemBytes);
    packed.set(binary.subarray(from, from + itemBytes), item * itemBytes);
  }
  return { data: new Type(packed.buffer), width, type: accessor.componentType, normalized: !!accessor.normalized };
}

/** The base colour texture of a material; one white texel where it has none. */
async function readTexture({ gltf, binary }, pbr) {
  if (!pbr.baseColorTexture) return WHITE;
  const texture = gltf.textures[pbr.baseColorTexture.index];
  const image = gltf.images[texture.extensions?.EXT_texture_webp?.source ?? texture.source];
  const { byteOffset = 0, byteLength } = gltf.bufferViews[image.bufferView];
  const blob = new Blob([binary.slice(byteOffset, byteOffset + byteLength)], { type: image.mimeType });
  const bitmap = Object.assign(new Image(), { src: URL.createObjectURL(blob) });
  await new Promise((resolve, reject) => Object.assign(bitmap, { onload: resolve, onerror: () => reject(UNREADABLE) }));
  URL.revokeObjectURL(bitmap.src);
  const { wrapS = REPEAT, wrapT = REPEAT } = gltf.samplers?.[texture.sampler] || {};
  return { bitmap, wrapS, wrapT };
}

/** [x, z] of the middle of what stands on the ground: the lowest twentieth. */
function feetOf({ parts, min, max }) {
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (const points of parts.map((part) => part.attributes[0].data)) {
    for (let at = 0; at < points.length; at += 3) {
      if (points[at + 1] > min[1] + 0.05 * (max[1] - min[1])) continue;
      [points[at], points[at + 2]].forEach((value, axis) => {
        low[axis] = Math.min(low[axis], value);
        high[axis] = Math.max(high[axis], value);
      });
    }
  }
  return low.map((value, axis) => (value + high[axis]) / 2);
}

/** GLB bytes to {parts, min, max, feet}: what to draw, its bounds in metres, and where it stands. */
async function readModel(bytes) {
  const file = splitGlb(bytes);
  const meshes = (file.gltf.nodes || []).flatMap((node) => file.gltf.meshes?.[node.mesh] || []);
  const model = { parts: [], min: [Infinity, Infinity, Infinity], max: [-Infinity, -Infinity, -Infinity] };
  for (const { attributes: at, indices: list, material } of meshes.flatMap((mesh) => mesh.primitives)) {
    const paint = file.gltf.materials?.[material] || {};
    const slots = [at.POSITION, at.NORMAL, at.TEXCOORD_0, at._SEEN, at.JOINTS_0, at.WEIGHTS_0];
    const attributes = slots.map((index) => readAccessor(file, index));
    const indices = readAccessor(file, list);
    const points = attributes[0].data;
    for (const vertex of indices ? indices.data : points.slice(0, points.length / 3).keys()) {
      for (let axis = 0; axis < 3; axis++) {
        model.min[axis] = Math.min(model.min[axis], points[3 * vertex + axis]);
        model.max[axis] = Math.max(model.max[axis], points[3 * vertex + axis]);
      }
    }
    const pbr = paint.pbrMetallicRoughness || {};
    const texture = await readTexture(file, pbr);
    model.parts.push({ attributes, indices, texture, factor: pbr.baseColorFactor, open: paint.doubleSided });
  }
  if (!model.min.every((low, axis) => low <= model.max[axis])) throw new Error("holds no mesh");
  model.feet = feetOf(model);
  return model;
}
