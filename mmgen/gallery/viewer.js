"use strict";
// Reads plain GLBs and draws them with one WebGL 2 context that all canvases share. No network, nobody else's code.

const FOCAL = 3.5; // 1 / tan(half the vertical field of view)
const FILL = 1; // part of the half height that a model may take, from whatever side
const FRONT = Object.freeze({ azimuth: 0, elevation: 5, zoom: 1, panX: 0, panY: 0, lit: false }); // degrees; sees +Z
const REPEAT = 10497;
const WHITE = { bitmap: new ImageData(new Uint8ClampedArray([255, 255, 255, 255]), 1), wrapS: REPEAT, wrapT: REPEAT };
const ARRAYS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const UNREADABLE = new Error("has a texture that is no picture");
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };

const VERTEX_SHADER = `#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 uv;
layout(location = 3) in float seen;
uniform mat3 rotation; uniform vec3 centre; uniform float distance; uniform vec2 scale, pan;
out vec2 texel; out vec3 facing; out float known;
void main() {
  vec3 p = rotation * (position - centre) - vec3(0.0, 0.0, distance);
  gl_Position = vec4(scale * p.xy - pan * p.z, -p.z - 0.02 * distance, -p.z); // near plane 1 %, far plane infinite
  texel = uv;
  known = seen;
  facing = rotation * normal;
}`;
// `look`: 0 texture as it is, 1 lit from over the shoulder, 2 soft shadow on the floor (premultiplied alpha), 3 green
// where the photo showed the surface and orange where it is a guess, 4 dark wires.
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
uniform sampler2D image; uniform vec4 factor; uniform int look;
in vec2 texel; in vec3 facing; in float known; out vec4 colour;
void main() {
  float fade = max(1.0 - dot(texel, texel), 0.0);
  if (look == 2) { colour = vec4(0.0, 0.0, 0.0, 0.34 * fade * fade); return; }
  if (look == 4) { colour = vec4(0.1, 0.1, 0.12, 1.0); return; }
  if (look == 3) {
    float grey = dot(texture(image, texel).rgb * factor.rgb, vec3(0.3, 0.6, 0.1));
    colour = vec4(mix(vec3(0.95, 0.5, 0.15), vec3(0.2, 0.7, 0.45), known) * (0.45 + 0.55 * grey), 1.0);
    return;
  }
  float light = look == 0 ? 1.0 : 0.42 + 0.62 * max(dot(normalize(facing), normalize(vec3(-0.5, 0.7, 0.8))), 0.0);
  colour = vec4(min(texture(image, texel).rgb * factor.rgb * light, 1.0), 1.0);
}`;

/** Split a GLB into its JSON and binary chunks. Errors here and below are sentences for a person. */
function splitGlb(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 28 || view.getUint32(0, true) !== 0x46546c67) throw new Error("not a GLB file");
  const jsonEnd = 20 + view.getUint32(12, true);
  const gltf = JSON.parse(new TextDecoder().decode(bytes.subarray(20, jsonEnd)));
  const required = (gltf.extensionsRequired || []).join(", ");
  if (required) throw new Error(`needs ${required}, which this viewer cannot read`);
  const moved = (gltf.nodes || []).some((node) => node.matrix || node.translation || node.rotation || node.scale);
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

/** GLB bytes to {parts, min, max}: what to draw, and the bounds in metres of what is drawn. */
async function readModel(bytes) {
  const file = splitGlb(bytes);
  const meshes = (file.gltf.nodes || []).flatMap((node) => file.gltf.meshes?.[node.mesh] || []);
  const model = { parts: [], min: [Infinity, Infinity, Infinity], max: [-Infinity, -Infinity, -Infinity] };
  for (const { attributes: at, indices: list, material } of meshes.flatMap((mesh) => mesh.primitives)) {
    const paint = file.gltf.materials?.[material] || {};
    const attributes = [at.POSITION, at.NORMAL, at.TEXCOORD_0, at._SEEN].map((index) => readAccessor(file, index));
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
  return model;
}

/** One WebGL context that draws any model into any 2D canvas. */
class Painter {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.gl = this.canvas.getContext("webgl2", { antialias: true });
    if (!this.gl) throw new Error("this browser has no WebGL 2, so only still pictures are shown");
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => this.prepare());
    this.prepare();
  }

  prepare() {
    const gl = this.gl;
    this.uploads = new WeakMap();
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.uniform = (name) => gl.getUniformLocation(program, name);
    gl.vertexAttrib1f(3, 1); // meshes that do not say what was seen count as seen
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.SCISSOR_TEST);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const floor = (data, width) => ({ data: new Float32Array(data), width, type: gl.FLOAT, normalized: false });
    const corners = floor([-1, 0, 1, 1, 0, 1, -1, 0, -1, -1, 0, -1, 1, 0, 1, 1, 0, -1], 3);
    this.floor = { attributes: [corners, null, floor([-1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, -1], 2)], indices: null };
  }

  /** Send a part to the graphics card, once. */
  upload(part) {
    const gl = this.gl;
    if (this.uploads.has(part)) return this.uploads.get(part);
    const handles = { shape: gl.createVertexArray(), buffers: [], image: null };
    gl.bindVertexArray(handles.shape);
    for (const [slot, source] of [...part.attributes, part.indices].entries()) {
      if (!source) continue;
      const target = source === part.indices ? gl.ELEMENT_ARRAY_BUFFER : gl.ARRAY_BUFFER;
      handles.buffers.push(gl.createBuffer());
      gl.bindBuffer(target, handles.buffers.at(-1));
      gl.bufferData(target, source.data, gl.STATIC_DRAW);
      if (source === part.indices) continue;
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, source.width, source.type, source.normalized, 0, 0);
    }
    if (part.texture) {
      handles.image = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, handles.image);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, part.texture.bitmap);
      gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, part.texture.wrapS);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, part.texture.wrapT);
      const sharp = gl.getExtension("EXT_texture_filter_anisotropic"); // spherical maps are squeezed at head and feet
      if (sharp) gl.texParameteri(gl.TEXTURE_2D, sharp.TEXTURE_MAX_ANISOTROPY_EXT, 8);
    }
    this.uploads.set(part, handles);
    return handles;
  }

  /** Indices of a part's edges, made once. */
  edges(part) {
    if (part.edges) return part.edges;
    const list = part.indices ? part.indices.data : [...Array(part.attributes[0].data.length / 3).keys()];
    const lines = new Uint32Array(2 * list.length);
    for (let corner = 0; corner < list.length; corner++) {
      lines[2 * corner] = list[corner];
      lines[2 * corner + 1] = list[corner % 3 === 2 ? corner - 2 : corner + 1];
    }
    part.edges = { attributes: [part.attributes[0]], indices: { data: lines, type: this.gl.UNSIGNED_INT } };
    return part.edges;
  }

  /** Free what `draw` put on the graphics card for a model. */
  release(model) {
    const parts = model.parts.flatMap((each) => [each, each.edges]);
    for (const part of parts.filter((each) => this.uploads.has(each))) {
      const { shape, buffers, image } = this.uploads.get(part);
      buffers.forEach((buffer) => this.gl.deleteBuffer(buffer));
      this.gl.deleteTexture(image);
      this.gl.deleteVertexArray(shape);
      this.uploads.delete(part);
    }
  }

  drawPart(part, look, rotation, centre) {
    const gl = this.gl;
    const { shape, image } = this.upload(part);
    gl.bindVertexArray(shape);
    gl.bindTexture(gl.TEXTURE_2D, image);
    gl.uniform1i(this.uniform("look"), look);
    gl.uniform4fv(this.uniform("factor"), part.factor || [1, 1, 1, 1]);
    gl.uniformMatrix3fv(this.uniform("rotation"), true, rotation);
    gl.uniform3fv(this.uniform("centre"), centre);
    const modes = [[gl.BLEND, look === 2], [gl.DEPTH_TEST, look !== 2], [gl.CULL_FACE, look !== 2 && !part.open]];
    for (const [mode, on] of modes) on ? gl.enable(mode) : gl.disable(mode);
    const shapes = look === 4 ? gl.LINES : gl.TRIANGLES;
    if (part.indices) gl.drawElements(shapes, part.indices.data.length, part.indices.type, 0);
    else gl.drawArrays(gl.TRIANGLES, 0, part.attributes[0].data.length / 3);
  }

  /** Draw `model` as `view` (see FRONT) says and copy the picture into the 2D canvas `target`. */
  draw(model, target, view) {
    const gl = this.gl;
    const { width, height } = target;
    if (this.canvas.width < width) this.canvas.width = width;
    if (this.canvas.height < height) this.canvas.height = height;
    gl.viewport(0, this.canvas.height - height, width, height);
    gl.scissor(0, this.canvas.height - height, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const half = model.max.map((high, axis) => (high - model.min[axis]) / 2);
    const centre = model.max.map((high, axis) => high - half[axis]);
    const radius = Math.hypot(half[0], half[2]); // of the cylinder that the model sweeps when it turns
    const widest = Math.max(half[0], half[2]);
    const distance = radius + (FOCAL * Math.max(half[1], (widest * height) / width)) / FILL;
    const [sa, se] = [view.azimuth, view.elevation].map((degrees) => Math.sin((degrees * Math.PI) / 180));
    const [ca, ce] = [view.azimuth, view.elevation].map((degrees) => Math.cos((degrees * Math.PI) / 180));
    const rotation = [ca, 0, -sa, -se * sa, ce, -se * ca, ce * sa, se, ce * ca]; // rows: right, up, towards the camera
    gl.uniform2f(this.uniform("scale"), (FOCAL * view.zoom * height) / width, FOCAL * view.zoom);
    gl.uniform2f(this.uniform("pan"), (view.panX * height) / width, view.panY);
    gl.uniform1f(this.uniform("distance"), distance);
    const flat = rotation.map((value, slot) => value * [1.5 * half[0], 1, 1.5 * half[2]][slot % 3]);
    if (distance * se > -half[1]) this.drawPart(this.floor, 2, flat, [0, half[1], 0]);
    const look = view.look ?? Number(view.lit);
    for (const part of model.parts) {
      this.drawPart(part, look === 4 ? 0 : look, rotation, centre);
      if (look === 4) this.drawPart(this.edges(part), 4, rotation, centre);
    }
    const context = target.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0, width, height, 0, 0, width, height);
  }
}
