"use strict";
// Correcting a mask by hand: brush, eraser, lasso, regions by scribble, undo. The photo's own pixels, nothing scaled.

const UNDO_STEPS = 30;
const TINT = [235, 60, 90]; // over what is not the person

class MaskEditor {
  /** @param region asks the server: ({mask, scribble, remove}) -> PNG blob of the new mask. */
  constructor(canvas, region) {
    Object.assign(this, { canvas, region, tool: "brush", size: 16, past: [], path: null, isBusy: false });
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.path && this.go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.path && this.end());
  }

  /** Take a photo and its mask, both image bitmaps of any size; the mask's size counts. */
  load(photo, mask) {
    const { width, height } = mask;
    Object.assign(this.canvas, { width, height });
    this.layers = Object.fromEntries(["photo", "mask", "stroke", "shade"].map((name) => {
      const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: name === "mask" });
      return [name, context];
    }));
    this.layers.photo.drawImage(photo, 0, 0, width, height);
    this.layers.mask.drawImage(mask, 0, 0);
    this.past = [];
    this.isChanged = false;
    this.paint();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * this.canvas.width) / box.width, ((event.clientY - box.top) * this.canvas.height) / box.height];
  }

  begin(event) {
    if (!this.layers || this.isBusy) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.remember();
    this.path = [this.at(event)];
    this.layers.stroke.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.go(event);
  }

  go(event) {
    const [from, to] = [this.path.at(-1), this.at(event)];
    this.path.push(to);
    const target = this.tool === "brush" || this.tool === "eraser" ? this.layers.mask : this.layers.stroke;
    const colour = this.tool === "eraser" ? "black" : "white";
    Object.assign(target, { strokeStyle: colour, lineWidth: this.tool === "lasso" ? 2 : this.size, lineCap: "round", lineJoin: "round" });
    target.beginPath();
    target.moveTo(...from);
    target.lineTo(...to);
    target.stroke();
    this.paint();
  }

  async end() {
    const path = this.path;
    this.path = null;
    this.isChanged = true;
    if (this.tool === "lasso") {
      const mask = this.layers.mask;
      mask.fillStyle = "white";
      mask.beginPath();
      path.forEach((point) => mask.lineTo(...point));
      mask.fill();
    } else if (this.tool === "add" || this.tool === "remove") await this.askRegion(this.tool === "remove");
    this.layers.stroke.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.paint();
  }

  async askRegion(remove) {
    this.isBusy = true;
    try {
      const blob = await this.region({ mask: await this.png(), scribble: await this.flat(this.layers.stroke), remove });
      if (blob) this.layers.mask.drawImage(await createImageBitmap(blob), 0, 0);
      else this.undo();
    } finally {
      this.isBusy = false;
    }
  }

  remember() {
    this.past.push(this.layers.mask.getImageData(0, 0, this.canvas.width, this.canvas.height));
    if (this.past.length > UNDO_STEPS) this.past.shift();
  }

  undo() {
    const before = this.past.pop();
    if (before) this.layers.mask.putImageData(before, 0, 0);
    this.paint();
  }

  /** The photo, reddened where the mask is black, and the stroke being drawn. */
  paint() {
    if (!this.layers) return;
    const { width, height } = this.canvas;
    const { photo, mask, stroke, shade } = this.layers;
    shade.globalCompositeOperation = "source-over";
    shade.fillStyle = `rgb(${TINT})`;
    shade.fillRect(0, 0, width, height);
    shade.globalCompositeOperation = "multiply";
    shade.drawImage(photo.canvas, 0, 0);
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = "source-over";
    context.drawImage(shade.canvas, 0, 0); // background: tinted photo; person: photo, by the mask's brightness
    const cut = new OffscreenCanvas(width, height).getContext("2d");
    cut.drawImage(mask.canvas, 0, 0);
    cut.globalCompositeOperation = "multiply";
    cut.drawImage(photo.canvas, 0, 0);
    context.globalCompositeOperation = "lighten";
    context.drawImage(cut.canvas, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 0.6;
    context.drawImage(stroke.canvas, 0, 0);
    context.globalAlpha = 1;
  }

  png() {
    return this.flat(this.layers.mask);
  }

  /** A layer on black, as PNG. */
  flat(layer) {
    const flat = new OffscreenCanvas(this.canvas.width, this.canvas.height).getContext("2d");
    flat.fillRect(0, 0, this.canvas.width, this.canvas.height);
    flat.drawImage(layer.canvas, 0, 0);
    return flat.canvas.convertToBlob({ type: "image/png" });
  }
}
