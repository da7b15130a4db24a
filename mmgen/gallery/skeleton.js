"use strict";
// The skeleton of a rigged GLB: where its joints are at any moment of its loop, and how they are shown.

/** Matrix of a turn (quaternion) and a place. */
function placed([x, y, z, w], [right, up, near]) {
  return new DOMMatrix([
    1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w), 0,
    2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w), 0,
    2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y), 0,
    right, up, near, 1,
  ]);
}

/** Joints of a GLB that `mmgen export --animation` could have written: parents stand before their children. */
function readRig(bytes) {
  const file = splitGlb(bytes);
  const { nodes, skins: [skin], animations: [loop] } = file.gltf;
  const rows = new Map(skin.joints.map((node, row) => [node, row]));
  const binds = readAccessor(file, skin.inverseBindMatrices).data;
  const joints = skin.joints.map((node, row) => {
    const { rotation, translation } = nodes[node];
    return { parent: -1, rotation, translation, bind: new DOMMatrix([...binds.slice(16 * row, 16 * row + 16)]) };
  });
  skin.joints.forEach((node, row) => (nodes[node].children || []).forEach((child) => (joints[rows.get(child)].parent = row)));
  const tracks = loop.channels.map(({ sampler, target }) => {
    const { input, output } = loop.samplers[sampler];
    return { row: rows.get(target.node), path: target.path, times: readAccessor(file, input).data, values: readAccessor(file, output) };
  });
  return { joints, tracks, seconds: tracks[0].times.at(-1) };
}

/** Give a model of one part the skeleton, weights and loop that stand in a container of their own. */
function addRig(model, bytes) {
  const file = splitGlb(bytes);
  const { JOINTS_0, WEIGHTS_0 } = file.gltf.meshes[0].primitives[0].attributes;
  [JOINTS_0, WEIGHTS_0].forEach((index, slot) => (model.parts[0].attributes[4 + slot] = readAccessor(file, index)));
  model.rig = readRig(bytes);
}

/** A track's value at a moment, straight between two keys. */
function valueAt({ times, values: { data, width } }, seconds) {
  const next = Math.max(1, times.findIndex((time) => time >= seconds));
  const share = (seconds - times[next - 1]) / (times[next] - times[next - 1]);
  const from = data.subarray(width * (next - 1), width * (next + 1));
  const value = Array.from({ length: width }, (_, slot) => from[slot] + share * (from[slot + width] - from[slot]));
  const length = width === 4 ? Math.hypot(...value) : 1;
  return value.map((part) => part / length);
}

/** World matrices of all joints: in the photo's pose, or so many seconds into the loop. */
function poseOf(rig, seconds = null) {
  const local = rig.joints.map(({ rotation, translation }) => ({ rotation, translation }));
  if (seconds !== null) for (const track of rig.tracks) local[track.row][track.path] = valueAt(track, seconds % rig.seconds);
  const worlds = [];
  for (const [row, { rotation, translation }] of local.entries()) {
    const own = placed(rotation, translation);
    worlds.push(rig.joints[row].parent < 0 ? own : worlds[rig.joints[row].parent].multiply(own));
  }
  return worlds;
}

/** What the painter moves the mesh with. */
const bonesOf = (rig, worlds) => new Float32Array(worlds.flatMap((world, row) => [...world.multiply(rig.joints[row].bind).toFloat32Array()]));

/** Draw joints and bones over a picture; `project` as from `Painter.draw`. */
function drawSkeleton(context, rig, worlds, project, size) {
  const points = worlds.map((world) => project([world.m41, world.m42, world.m43]));
  for (const [colour, width] of [["#fff", 5], ["#1d4ed8", 2.5]]) {
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: width * size, lineCap: "round" });
    context.beginPath();
    rig.joints.forEach(({ parent }, row) => parent < 0 || (context.moveTo(...points[parent]), context.lineTo(...points[row])));
    context.stroke();
    for (const point of points) {
      context.beginPath();
      context.arc(...point, (width / 2 + 2) * size, 0, 2 * Math.PI);
      context.fill();
    }
  }
}
