"use strict";
// Draws models of glb.js with one WebGL 2 context that all canvases share.

const FOCAL = 3.5; // 1 / tan(half the vertical field of view)
const FILL = 1; // part of the half height that a model may take, from whatever side
const FRONT = Object.freeze({ azimuth: 0, elevation: 5, zoom: 1, panX: 0, panY: 0, lit: false }); // degrees; sees +Z
const MOST_JOINTS = 48; // every WebGL 2 has room for so many matrices

const VERTEX_SHADER = `#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 uv;
layout(location = 3) in float seen;
layout(location = 4) in vec4 joints;
layout(location = 5) in vec4 weights;
uniform bool posed; uniform mat4 bones[${MOST_JOINTS}];
uniform mat3 rotation; uniform vec3 centre; uniform float distance; uniform vec2 scale, pan;
out vec2 texel; out vec3 facing; out float known;
void main() {
  mat4 pose = mat4(1.0);
  if (posed) {
    pose = weights.x * bones[int(joints.x)] + weights.y * bones[int(joints.y)];
    pose += weights.z * bones[int(joints.z)] + weights.w * bones[int(joints.w)];
  }
  vec3 p = rotation * ((pose * vec4(position, 1.0)).xyz - centre) - vec3(0.0, 0.0, distance);
  gl_Position = vec4(scale * p.xy - pan * p.z, -p.z - 0.02 * distance, -p.z); // near plane 1 %, far plane infinite
  texel = uv;
  known = seen;
  facing = rotation * mat3(pose) * normal;
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
    const [points, , , , joints, weights] = part.attributes;
    part.edges = { attributes: [points, null, null, null, joints, weights], indices: { data: lines, type: this.gl.UNSIGNED_INT } };
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

  drawPart(part, look, rotation, centre, bones = null) {
    const gl = this.gl;
    const { shape, image } = this.upload(part);
    gl.bindVertexArray(shape);
    gl.bindTexture(gl.TEXTURE_2D, image);
    gl.uniform1i(this.uniform("look"), look);
    gl.uniform4fv(this.uniform("factor"), part.factor || [1, 1, 1, 1]);
    gl.uniform1i(this.uniform("posed"), bones && part.attributes[4] ? 1 : 0);
    if (bones) gl.uniformMatrix4fv(this.uniform("bones"), false, bones);
    gl.uniformMatrix3fv(this.uniform("rotation"), true, rotation);
    gl.uniform3fv(this.uniform("centre"), centre);
    const modes = [[gl.BLEND, look === 2], [gl.DEPTH_TEST, look !== 2], [gl.CULL_FACE, look !== 2 && !part.open]];
    for (const [mode, on] of modes) on ? gl.enable(mode) : gl.disable(mode);
    const shapes = look === 4 ? gl.LINES : gl.TRIANGLES;
    if (part.indices) gl.drawElements(shapes, part.indices.data.length, part.indices.type, 0);
    else gl.drawArrays(gl.TRIANGLES, 0, part.attributes[0].data.length / 3);
  }

  /**
   * Draw `model` as `view` (see FRONT) says and copy the picture into the 2D canvas `target`; where its joints are, and
   * `model.bones` has their matrices, they move it.
   * @returns {function} a point of the model, metres, to its place in `target`, pixels.
   */
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
    const [right, ahead] = [0, 2].map((axis, slot) => (centre[axis] - model.feet[slot]) / (1.5 * half[axis]));
    if (distance * se > -half[1]) this.drawPart(this.floor, 2, flat, [right, half[1], ahead]);
    const look = view.look ?? Number(view.lit);
    for (const part of model.parts) {
      this.drawPart(part, look === 4 ? 0 : look, rotation, centre, model.bones);
      if (look === 4) this.drawPart(this.edges(part), 4, rotation, centre, model.bones);
    }
    const context = target.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0, width, height, 0, 0, width, height);
    return (point) => {
      const from = point.map((value, axis) => value - centre[axis]);
      const [x, y, z] = [0, 3, 6].map((row) => from.reduce((sum, value, axis) => sum + rotation[row + axis] * value, 0));
      const near = (FOCAL * view.zoom * height) / (2 * (distance - z)); // pixels a metre
      return [width / 2 + near * x + (view.panX * height) / 2, height / 2 - near * y - (view.panY * height) / 2];
    };
  }
}
