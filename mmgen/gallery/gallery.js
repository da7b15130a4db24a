"use strict";
// The page around the viewer: draws every card once, spins the one under the pointer, opens the large view,
// sorts and filters. Everything it shows is already in this file; it asks the network for nothing.

const root = document.documentElement;
const items = JSON.parse(document.getElementById("items").textContent); // one object per card, in card order
const cards = [...document.querySelectorAll(".card")];
const KEPT_MODELS = 24; // models in memory at a time; the others are decoded again when they are needed
const errors = [];

function reportError(where, error) {
  errors.push(`${where}: ${error.message}`);
  root.dataset.errors = JSON.stringify(errors);
}

let painter = null;
try {
  painter = new Painter();
} catch (error) {
  reportError("viewer", error);
}

const models = new Map(); // card index -> promise of a model; the least recently used one is first
function modelOf(index) {
  const promise = models.get(index) || readModel(glbBytes(index));
  models.delete(index);
  models.set(index, promise);
  if (models.size > KEPT_MODELS) {
    const [oldest, dropped] = models.entries().next().value;
    models.delete(oldest);
    dropped.then((model) => painter.release(model), () => {});
  }
  return promise;
}

function glbBytes(index) {
  const text = atob(document.getElementById(`glb-${index}`).textContent);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Give a canvas as many pixels as the screen shows of it. */
function fitCanvas(canvas, fallback) {
  const sharpness = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth || fallback[0], canvas.clientHeight || fallback[1]];
  for (const [side, px] of [["width", width], ["height", height]]) {
    if (canvas[side] !== Math.round(px * sharpness)) canvas[side] = Math.round(px * sharpness);
  }
}

// --- cards ---------------------------------------------------------------------------------------------------------

const isOnScreen = new Set(); // indices of the cards whose canvas holds pixels

async function drawCard(index, view = FRONT) {
  const card = cards[index];
  const canvas = card.querySelector("canvas");
  const model = await modelOf(index);
  fitCanvas(canvas, [180, 300]);
  painter.draw(model, canvas, view);
  card.classList.add("live");
  card.dataset.dimensions = model.max.map((high, axis) => (high - model.min[axis]).toFixed(4)).join(" ");
}

/** Back to the still picture, which needs no memory of its own. */
function restCard(index) {
  cards[index].classList.remove("live");
  const canvas = cards[index].querySelector("canvas");
  canvas.width = canvas.height = 0;
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const index = Number(target.dataset.index);
    if (isIntersecting) isOnScreen.add(index);
    else isOnScreen.delete(index);
    if (target.dataset.drawn !== "true") continue;
    if (isIntersecting) drawCard(index);
    else restCard(index);
  }
}, { rootMargin: "200px" });

async function drawAll() {
  let drawn = 0;
  for (const [index, card] of cards.entries()) {
    if (!document.getElementById(`glb-${index}`)) continue;
    try {
      if (painter) await drawCard(index);
      card.dataset.drawn = String(Boolean(painter));
      drawn += painter ? 1 : 0;
    } catch (error) {
      card.dataset.drawn = "error";
      reportError(items[index].name, error);
    }
    root.dataset.modelsDrawn = String(drawn);
    if (painter && !isOnScreen.has(index)) restCard(index);
    watcher.observe(card);
    await new Promise((resolve) => setTimeout(resolve)); // let the page answer between two models
  }
  root.dataset.modelsDrawn = String(drawn);
  root.dataset.state = errors.length ? "error" : "ready";
}

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
  if (!stage || !painter) continue;
  card.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse" || wantsStillness || card.dataset.drawn !== "true") return;
    const view = { ...FRONT };
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
  const model = await modelOf(index);
  if (index !== opened) return;
  fitCanvas(part("canvas"), [400, 600]);
  painter.draw(model, part("canvas"), view);
}

function show(index) {
  opened = index;
  const { name, details } = items[index];
  const photo = cards[index].querySelector(".photo img");
  part("name").textContent = name;
  part("photo").hidden = !photo;
  if (photo) part("photo").src = photo.src;
  part("details").replaceChildren(...details.flatMap(([label, value]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, text.textContent] = [label, value];
    return [term, text];
  }));
  Object.assign(view, FRONT, { lit: view.lit });
  if (!dialog.open) dialog.showModal();
  part("canvas").focus();
  redraw();
}

function setTurning(on) {
  part("turn").setAttribute("aria-pressed", String(on));
  turning = null;
  if (on) startTurning((degrees) => ((view.azimuth -= degrees), redraw()));
}

/** The address says what is open, so that the back button of a phone closes it. */
function followAddress() {
  const index = Number(/^#asset-(\d+)$/.exec(location.hash)?.[1] ?? -1);
  setTurning(false);
  if (painter && cards[index]?.dataset.drawn === "true") show(index);
  else if (dialog.open) dialog.close();
}

function step(direction) {
  const shown = cards.filter((card) => !card.hidden && card.dataset.drawn === "true");
  shown.sort((a, b) => a.style.order - b.style.order);
  const at = shown.indexOf(cards[opened]);
  location.replace(`#asset-${shown.at((at + direction) % shown.length).dataset.index}`);
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([glbBytes(opened)], { type: "model/gltf-binary" }));
  link.download = items[opened].file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

makeInteractive(part("canvas"), view, redraw);
part("canvas").addEventListener("pointerdown", () => setTurning(false));
part("turn").addEventListener("click", () => setTurning(part("turn").getAttribute("aria-pressed") !== "true"));
part("lit").addEventListener("click", () => {
  view.lit = !view.lit;
  part("lit").setAttribute("aria-pressed", String(view.lit));
  redraw();
});
part("reset").addEventListener("click", () => (Object.assign(view, FRONT, { lit: view.lit }), redraw()));
part("download").addEventListener("click", download);
part("previous").addEventListener("click", () => step(-1));
part("next").addEventListener("click", () => step(1));
part("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  opened = -1;
  setTurning(false);
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
arrange();
drawAll().then(followAddress);
