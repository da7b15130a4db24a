"use strict";
// The page around the viewer: draws the cards that come into sight, spins the one under the pointer, opens the large
// view, sorts and filters. Everything it shows is in this file or beside it; it asks nobody else for anything.

const root = document.documentElement;
const items = JSON.parse(document.getElementById("items").textContent); // one object per card, in card order
const cards = [...document.querySelectorAll(".card")];
const KEPT_MODELS = 24; // models in memory at a time; the others are decoded again when they are needed
const errors = [];

function reportError(where, error) {
  errors.push(`${where}: ${error.message}`);
  root.dataset.errors = JSON.stringify(errors);
}

let painter = null; // made after the first picture of the page is on the screen; null also where there is no WebGL 2

const models = new Map(); // card index -> promise of a model; the least recently used one is first
function modelOf(index) {
  const promise = models.get(index) || readCard(index);
  models.delete(index);
  models.set(index, promise);
  if (models.size > KEPT_MODELS) {
    const [oldest, dropped] = models.entries().next().value;
    models.delete(oldest);
    dropped.then((model) => painter.release(model), () => {});
  }
  return promise;
}

function embedded(name) {
  const text = atob(document.getElementById(name).textContent);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
const glbBytes = (index) => embedded(`glb-${index}`);
const canWalk = (index) => document.getElementById(`walk-${index}`) !== null;

/** A card's model, with what makes it walk where the page has that. */
async function readCard(index) {
  const model = await readModel(glbBytes(index));
  if (canWalk(index)) addRig(model, embedded(`walk-${index}`));
  return model;
}

/** How a model is seen first: as in its photo, or from the front. */
const homeOf = (index) => ({ ...FRONT, ...items[index].view });

/** Give a canvas as many pixels as the screen shows of it. */
function fitCanvas(canvas, fallback) {
  const sharpness = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth || fallback[0], canvas.clientHeight || fallback[1]];
  for (const [side, px] of [["width", width], ["height", height]]) {
    if (canvas[side] !== Math.round(px * sharpness)) canvas[side] = Math.round(px * sharpness);
  }
}

// --- cards ---------------------------------------------------------------------------------------------------------

const isOnScreen = new Set(); // indices of the cards in sight, and of those a little below
const queue = []; // indices of the cards in sight that were never drawn
const hasModel = (index) => items[index].bytes !== null;
const canOpen = (index) => painter && cards[index] && hasModel(index) && cards[index].dataset.drawn !== "error";

async function drawCard(index, view = homeOf(index)) {
  const card = cards[index];
  const canvas = card.querySelector("canvas");
  const model = await modelOf(index);
  if (!isOnScreen.has(index)) return;
  fitCanvas(canvas, [180, 300]);
  model.bones = null;
  painter.draw(model, canvas, view);
  card.classList.add("live");
  card.dataset.dimensions = model.max.map((high, axis) => (high - model.min[axis]).toFixed(4)).join(" ");
  if (card.dataset.drawn === "true") return;
  card.dataset.drawn = "true";
  root.dataset.modelsDrawn = String(Number(root.dataset.modelsDrawn) + 1);
}

/** Back to the still picture, which needs no memory of its own. */
function restCard(index) {
  cards[index].classList.remove("live");
  const canvas = cards[index].querySelector("canvas");
  canvas.width = canvas.height = 0;
}

function spoil(index, error) {
  if (cards[index].dataset.drawn === "error") return;
  cards[index].dataset.drawn = "error";
  reportError(items[index].name, error);
}

let isDrawing = false;
async function drawQueue() {
  if (isDrawing) return;
  isDrawing = true;
  while (queue.length) {
    const index = queue.shift();
    if (!isOnScreen.has(index)) continue; // scrolled past; it comes again
    await drawCard(index).catch((error) => spoil(index, error));
    await new Promise((resolve) => setTimeout(resolve)); // let the page answer between two models
  }
  isDrawing = false;
  root.dataset.state = errors.length ? "error" : "ready";
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const index = Number(target.dataset.index);
    if (isIntersecting) isOnScreen.add(index);
    else isOnScreen.delete(index);
    const { drawn } = target.dataset;
    if (drawn === "true" && isIntersecting) drawCard(index);
    else if (drawn === "true") restCard(index);
    else if (drawn === "false" && isIntersecting && !queue.includes(index)) queue.push(index);
  }
  drawQueue();
}, { rootMargin: "200px" });

// --- slow turns ----------------------------------------------------------------------------------------------------

let turning = null; // the object whose turn goes on; a new one or null ends it
function startTurning(step) {
  const mine = (turning = {});
  let last = performance.now();
  const tick = async (now) => {
    if (turning !== mine) return;
    await step(((now - last) / 1000) * 50); // degrees
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

const wantsStillness = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const [index, card] of cards.entries()) {
  const stage = card.querySelector(".stage");
  if (!stage) continue;
  card.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse" || wantsStillness || card.dataset.drawn !== "true") return;
    const view = homeOf(index);
    startTurning((degrees) => {
      view.azimuth -= degrees;
      return drawCard(index, view);
    });
  });
  card.addEventListener("pointerleave", () => {
    turning = null;
    if (card.dataset.drawn === "true") drawCard(index);
  });
}

// --- large view ----------------------------------------------------------------------------------------------------

const dialog = document.getElementById("large");
const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
const view = { ...FRONT };
let opened = -1;

async function redraw() {
  if (opened < 0) return;
  const index = opened;
  const model = await modelOf(index).catch((error) => spoil(index, error));
  if (!model) dialog.close();
  if (!model || index !== opened) return;
  fitCanvas(part("canvas"), [400, 600]);
  model.bones = isOn("walk") && model.rig ? bonesOf(model.rig, poseOf(model.rig, performance.now() / 1000)) : null;
  painter.draw(model, part("canvas"), view);
}

function show(index) {
  opened = index;
  const { name, details } = items[index];
  const photo = cards[index].querySelector(".photo img");
  part("name").textContent = name;
  part("same").hidden = !photo;
  part("walk").hidden = !canWalk(index);
  part("photo").hidden = !photo;
  if (photo) part("photo").src = photo.src;
  part("details").replaceChildren(...details.flatMap(([label, value]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, text.textContent] = [label, value];
    return [term, text];
  }));
  Object.assign(view, homeOf(index), { lit: view.lit });
  if (!dialog.open) dialog.showModal();
  part("canvas").focus();
  redraw();
}

const isOn = (name) => part(name).getAttribute("aria-pressed") === "true";

/** Switch `turn` or `walk`; either keeps the picture moving. */
function setMoving(name, on) {
  part(name).setAttribute("aria-pressed", String(on));
  turning = null;
  if (!isOn("turn") && !isOn("walk")) redraw();
  else startTurning((degrees) => ((view.azimuth -= isOn("turn") ? degrees : 0), redraw()));
}

/** The address says what is open, so that the back button of a phone closes it. */
function followAddress() {
  const index = Number(/^#asset-(\d+)$/.exec(location.hash)?.[1] ?? -1);
  setMoving("turn", false);
  if (canOpen(index)) show(index);
  else if (dialog.open) dialog.close();
}

function step(direction) {
  const shown = cards.filter((card) => !card.hidden && canOpen(Number(card.dataset.index)));
  shown.sort((a, b) => a.style.order - b.style.order);
  if (!shown.length) return;
  const at = shown.indexOf(cards[opened]);
  location.replace(`#asset-${shown.at((at + direction) % shown.length).dataset.index}`);
}

function download() {
  const link = document.createElement("a");
  const { file } = items[opened];
  link.href = URL.createObjectURL(new Blob([glbBytes(opened)], { type: "model/gltf-binary" }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

makeInteractive(part("canvas"), view, redraw);
part("canvas").addEventListener("pointerdown", () => setMoving("turn", false));
for (const name of ["turn", "walk"]) part(name).addEventListener("click", () => setMoving(name, !isOn(name)));
part("lit").addEventListener("click", () => {
  view.lit = !view.lit;
  part("lit").setAttribute("aria-pressed", String(view.lit));
  redraw();
});
part("same").addEventListener("click", () => (Object.assign(view, homeOf(opened), { lit: view.lit }), redraw()));
part("reset").addEventListener("click", () => (Object.assign(view, FRONT, { lit: view.lit }), redraw()));
part("download").addEventListener("click", download);
part("previous").addEventListener("click", () => step(-1));
part("next").addEventListener("click", () => step(1));
part("close").addEventListener("click", () => dialog.close());
const keys = { PageUp: () => step(-1), PageDown: () => step(1), Home: () => part("reset").click() };
dialog.addEventListener("keydown", (event) => {
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  opened = -1;
  setMoving("turn", false);
  setMoving("walk", false);
  if (location.hash.startsWith("#asset-")) location.replace("#all");
});
addEventListener("hashchange", followAddress);
addEventListener("resize", () => {
  redraw();
  for (const index of isOnScreen) if (cards[index].dataset.drawn === "true") drawCard(index);
});

// --- sort and filter -----------------------------------------------------------------------------------------------

const [search, order] = ["search", "order"].map((id) => document.getElementById(id));
const chips = [...document.querySelectorAll("[data-show]")];

function arrange() {
  const [key, direction] = order.value.split(" ");
  const worth = (index) => items[index][key];
  const ranked = items.map((_, index) => index).sort((a, b) => {
    const [x, y] = [worth(a), worth(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b; // no figure: last, whatever the order
    return (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y) * direction || a - b;
  });
  ranked.forEach((index, rank) => (cards[index].style.order = rank));
  const wanted = chips.find((chip) => chip.getAttribute("aria-pressed") === "true").dataset.show;
  const text = search.value.trim().toLowerCase();
  for (const [index, card] of cards.entries()) {
    const isWanted = wanted === "all" || items[index].group === wanted;
    card.hidden = !isWanted || !items[index].name.toLowerCase().includes(text);
  }
  document.getElementById("nothing").hidden = cards.some((card) => !card.hidden);
}

search.addEventListener("input", arrange);
order.addEventListener("change", arrange);
for (const chip of chips) chip.addEventListener("click", () => {
  chips.forEach((each) => each.setAttribute("aria-pressed", String(each === chip)));
  arrange();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || dialog.open || event.target.matches("input, select")) return;
  event.preventDefault();
  search.focus();
});
arrange();
function start() {
  try {
    painter = new Painter();
  } catch (error) {
    reportError("viewer", error);
  }
  const drawable = cards.filter((card) => painter && hasModel(Number(card.dataset.index)));
  drawable.forEach((card) => watcher.observe(card));
  if (!drawable.length) root.dataset.state = errors.length ? "error" : "ready";
  followAddress();
}
requestAnimationFrame(() => setTimeout(start)); // the still pictures first
