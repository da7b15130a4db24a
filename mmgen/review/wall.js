"use strict";
// A wall of cards of which only those in sight are in the document, so that ten thousand scroll like ten.

const CARD = { width: 380, height: 300, gap: 14 }; // pixels; columns share what is left of the width
const SPARE_ROWS = 2; // above and below what is in sight

/** Confidence in a word and a colour. */
function badgeOf(item) {
  if (item.state === "waiting" || item.state === "working") return ["plain", item.state];
  if (item.review?.verdict) return [item.review.verdict === "accepted" ? "good" : "bad", item.review.verdict];
  if (item.state === "failed") return ["bad", item.error || "failed"];
  if (item.state === "rejected") return ["check", "set aside"];
  if (item.why?.length) return ["check", "low confidence"];
  return [item.is_weak ? "check" : "good", item.mask_iou === null || item.mask_iou === undefined ? "ok" : `${Math.round(100 * item.mask_iou)} %`];
}

/** Words under the name. */
function whyOf(item) {
  if (item.doing) return item.doing;
  if (item.review?.note) return item.review.note;
  if (item.why?.length) return item.why.join("; ");
  return item.confidence === null || item.confidence === undefined ? "" : `confidence ${item.confidence.toFixed(2)}`;
}

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

const stillOf = (item, kind) => `/asset/${item.key}/still/${kind}/${item.version}.webp`;

class Wall {
  /** @param open called with a key when a card is opened; @param choose with a key and whether it is chosen. */
  constructor(box, rows, open, choose) {
    Object.assign(this, { box, rows, open, choose, items: [], nodes: new Map(), current: null, chosen: new Set() });
    box.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.layOut()).observe(box);
  }

  /** Show these items, in this order. */
  show(items) {
    this.items = items;
    this.places = new Map(items.map((item, place) => [item.key, place]));
    this.layOut();
  }

  layOut() {
    const width = this.rows.clientWidth;
    this.columns = Math.max(1, Math.floor((width + CARD.gap) / (CARD.width + CARD.gap)));
    this.cardWidth = (width + CARD.gap) / this.columns - CARD.gap;
    const count = Math.ceil(this.items.length / this.columns);
    this.rows.style.height = `${Math.max(0, count * (CARD.height + CARD.gap) - CARD.gap)}px`;
    this.paint();
  }

  paint() {
    const step = CARD.height + CARD.gap;
    const first = Math.max(0, Math.floor((this.box.scrollTop - 16) / step) - SPARE_ROWS) * this.columns;
    const last = (Math.ceil((this.box.scrollTop + this.box.clientHeight) / step) + SPARE_ROWS) * this.columns;
    const wanted = new Map();
    for (let place = first; place < Math.min(last, this.items.length); place++) wanted.set(this.items[place].key, place);
    for (const [key, node] of this.nodes) {
      if (wanted.has(key)) continue;
      node.remove();
      this.nodes.delete(key);
    }
    for (const [key, place] of wanted) this.place(key, place);
  }

  place(key, place) {
    const item = this.items[place];
    let node = this.nodes.get(key);
    if (!node || node.item !== item) {
      const fresh = this.card(item);
      if (node) node.replaceWith(fresh);
      else this.rows.append(fresh);
      node = fresh;
      this.nodes.set(key, node);
    }
    const [row, column] = [Math.floor(place / this.columns), place % this.columns];
    const [left, top] = [column * (this.cardWidth + CARD.gap), row * (CARD.height + CARD.gap)];
    node.style.cssText = `left:${left}px;top:${top}px;width:${this.cardWidth}px;height:${CARD.height}px`;
    node.setAttribute("aria-setsize", this.items.length);
    node.setAttribute("aria-posinset", place + 1);
    node.classList.toggle("current", key === this.current);
  }

  card(item) {
    const [colour, word] = badgeOf(item);
    const pictures = element("button", { type: "button", className: "pictures", onclick: () => this.open(item.key) });
    pictures.setAttribute("aria-label", `Open ${item.name}`);
    if (item.state === "failed" && !item.mesh) {
      const text = element("div", { className: "problem" });
      text.append(...[item.message, item.hint].filter(Boolean).map((words) => element("p", { textContent: words })));
      pictures.append(text);
    } else {
      const kinds = [...(item.photo ? ["photo"] : []), ...(item.mesh ? ["same", "back"] : [])];
      const words = { photo: "Photo", same: "Mesh, same view", back: "Mesh, back" };
      pictures.append(...kinds.map((kind) => element("img", { src: stillOf(item, kind), alt: words[kind], decoding: "async" })));
    }
    const name = element("div", { className: "name" }, element("span", { textContent: item.name, title: item.name }));
    name.append(element("span", { className: `badge ${colour}`, textContent: word }));
    const why = element("p", { className: "why", textContent: whyOf(item), title: whyOf(item) });
    const box = element("input", { type: "checkbox", checked: this.chosen.has(item.key) });
    box.setAttribute("aria-label", `Choose ${item.name}`);
    box.addEventListener("change", () => this.choose(item.key, box.checked));
    const node = element("div", { className: "card", item }, pictures, element("div", { className: "caption" }, name, why), box);
    node.setAttribute("role", "listitem");
    return node;
  }

  /** Mark a card and bring it into sight. */
  goTo(key) {
    this.current = key;
    const place = this.places.get(key);
    if (place !== undefined) {
      const top = Math.floor(place / this.columns) * (CARD.height + CARD.gap);
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      const bottom = top + CARD.height + 32 - this.box.clientHeight;
      if (bottom > this.box.scrollTop) this.box.scrollTop = bottom;
    }
    this.paint();
  }

  /** The key so many cards further, within the wall. */
  step(by) {
    if (!this.items.length) return null;
    const place = this.places.get(this.current);
    const to = place === undefined ? 0 : Math.max(0, Math.min(this.items.length - 1, place + by));
    return this.items[to].key;
  }

  markChosen(keys) {
    this.chosen = keys;
    for (const [key, node] of this.nodes) node.querySelector("input").checked = keys.has(key);
  }
}
