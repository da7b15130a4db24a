"use strict";
// The page's own life: news from the server, the wall, the large view, keys, taking away.

const byId = (id) => document.getElementById(id);
const TOKEN = document.querySelector('meta[name="mmgen-token"]').content;
const GROUPS = {
  all: ["All", () => true],
  check: ["To check", (item) => !item.review?.verdict && (item.state === "rejected" || (item.state === "ok" && item.why?.length > 0))],
  open: ["Undecided", (item) => item.mesh && !item.review?.verdict],
  accepted: ["Accepted", (item) => item.review?.verdict === "accepted"],
  rejected: ["Rejected", (item) => item.review?.verdict === "rejected"],
  failed: ["Failed", (item) => item.state === "failed"],
  busy: ["At work", (item) => item.state === "waiting" || item.state === "working"],
};
const NOTE_MS = 12000;
const LOOKS = { plain: 0, lit: 1, seen: 3, wire: 4 };

const items = new Map(); // key -> item
let [shown, group, revision, queue] = [[], "all", 0, 0];
const wall = new Wall(byId("wall"), byId("rows"), openLarge, choose);

// --- talking to the server -----------------------------------------------------------------------------------------

function note(words, isGood = false) {
  const line = element("div", { textContent: words, className: isGood ? "good-note" : "" });
  byId("notes").append(line);
  setTimeout(() => line.remove(), NOTE_MS);
}

/** A request with the token; null, and words on the page, where it was refused. */
async function ask(address, options = {}) {
  try {
    const answer = await fetch(address, { ...options, headers: { "x-mmgen-token": TOKEN, ...options.headers } });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => null)) || { message: await answer.statusText, hint: "" };
    note(`${problem.message}. ${problem.hint}`);
    if (problem.item) take({ items: [problem.item], gone: [] });
  } catch {
    note("The desk does not answer. Is `mmgen review` still running?");
  }
  return null;
}

async function change(key, action, body = {}) {
  const version = items.get(key).version;
  const answer = await ask(`/asset/${key}/${action}`, { method: "POST", body: JSON.stringify({ version, ...body }) });
  if (answer) take({ items: [await answer.json()], gone: [] });
  return answer !== null;
}

async function listen() {
  for (;;) {
    try {
      const answer = await fetch(`/changes?since=${revision}`, { headers: { "x-mmgen-token": TOKEN } });
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      if (news.revision < revision) location.reload(); // another run of the desk
      [revision, queue] = [news.revision, news.queue];
      take(news);
      document.documentElement.dataset.state = "ready";
    } catch {
      document.documentElement.dataset.state = "alone";
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function take(news) {
  for (const item of news.items) items.set(item.key, item);
  for (const key of news.gone) items.delete(key);
  arrange();
  if (opened !== null && news.items.some((item) => item.key === opened)) showLarge(false);
}

// --- the wall ------------------------------------------------------------------------------------------------------

function arrange() {
  const words = byId("search").value.trim().toLowerCase();
  const [field, direction] = byId("order").value.split(" ");
  const text = (item) => [item.name, item.state, item.error, item.message, ...(item.why || []), item.review?.note].join(" ").toLowerCase();
  const missing = (value) => value === null || value === undefined;
  shown = [...items.values()].filter((item) => GROUPS[group][1](item) && (!words || text(item).includes(words)));
  shown.sort((a, b) => {
    const byName = a.name.localeCompare(b.name, undefined, { numeric: true });
    if (field === "name") return byName;
    const [x, y] = [a[field], b[field]];
    return missing(x) || missing(y) ? missing(x) - missing(y) || byName : (x - y) * direction || byName;
  });
  wall.show(shown);
  const chips = Object.entries(GROUPS).map(([name, [title, belongs]]) => {
    const count = [...items.values()].filter(belongs).length;
    const chip = element("button", { type: "button", textContent: title, hidden: count === 0 && name !== "all" && name !== group });
    chip.append(element("span", { className: "count", textContent: count }));
    chip.setAttribute("aria-pressed", String(name === group));
    chip.addEventListener("click", () => ([group] = [name], arrange()));
    return chip;
  });
  const focused = [...byId("chips").children].indexOf(document.activeElement);
  byId("chips").replaceChildren(...chips);
  if (focused >= 0) chips[focused].focus();
  byId("summary").textContent = queue ? `${queue} at work or waiting` : `${items.size} asset${items.size === 1 ? "" : "s"}`;
  byId("empty").hidden = items.size > 0;
  byId("nothing").hidden = items.size === 0 || shown.length > 0;
  byId("names").replaceChildren(...(items.size < 500 ? [...items.values()].map((item) => element("option", { value: item.name })) : []));
}

function choose(key, isChosen) {
  if (isChosen) wall.chosen.add(key);
  else wall.chosen.delete(key);
  wall.markChosen(wall.chosen);
  byId("chosen").textContent = wall.chosen.size;
  byId("take").disabled = wall.chosen.size === 0;
}

byId("all").addEventListener("click", () => {
  const areAll = shown.every((item) => wall.chosen.has(item.key));
  for (const item of shown) if (item.mesh) choose(item.key, !areAll);
});
byId("take").addEventListener("click", async () => {
  const body = JSON.stringify({ keys: [...wall.chosen], format: byId("format").value });
  const answer = await ask("/zip", { method: "POST", body });
  if (!answer) return;
  const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: "assets.zip" });
  link.click();
  document.documentElement.dataset.taken = answer.headers.get("x-assets");
  note(`${answer.headers.get("x-assets")} assets taken away, with their figures`, true);
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
byId("search").addEventListener("input", arrange);
byId("order").addEventListener("change", arrange);

// --- the large view ------------------------------------------------------------------------------------------------

const large = byId("large");
let [opened, tab, model, modelVersion] = [null, "turn", null, ""];
let painter = null;
try {
  painter = new Painter();
} catch (error) {
  note(error.message);
}
const view = { ...FRONT, look: 0 };
let home = {}; // from where the photo sees the opened asset
const rigShown = { skeleton: false, walk: false };
const isRigShown = () => rigShown.skeleton || rigShown.walk;
let nextFrame = 0;
const editor = new MaskEditor(byId("mask-canvas"), async ({ mask, scribble, remove }) => {
  const headers = { "x-first-length": String(mask.size) };
  const answer = await ask(`/asset/${opened}/region?remove=${Number(remove)}`, { method: "POST", headers, body: new Blob([mask, scribble]) });
  return answer && answer.blob();
});

function redraw() {
  const canvas = byId("turn");
  if (!model || !painter || canvas.hidden || !canvas.clientWidth) return;
  const sharpness = Math.min(devicePixelRatio || 1, 2);
  canvas.width = Math.round(canvas.clientWidth * sharpness);
  canvas.height = Math.round(canvas.clientHeight * sharpness);
  const { rig } = model;
  const seconds = rig && rigShown.walk ? performance.now() / 1000 : null;
  const pose = rig && isRigShown() ? poseOf(rig, seconds) : null;
  model.bones = pose && bonesOf(rig, pose);
  const project = painter.draw(model, canvas, view);
  if (pose && rigShown.skeleton) drawSkeleton(canvas.getContext("2d"), rig, pose, project, sharpness);
  cancelAnimationFrame(nextFrame);
  if (seconds !== null) nextFrame = requestAnimationFrame(redraw);
  document.documentElement.dataset.drawn = opened;
}

function openLarge(key) {
  if (!items.has(key)) return;
  [opened, tab] = [key, "turn"];
  wall.goTo(key);
  if (!large.open) large.showModal();
  showLarge(true);
}

async function showLarge(isNew) {
  const item = items.get(opened);
  if (!item) return large.close();
  byId("large-name").textContent = item.name;
  const [colour, word] = badgeOf(item);
  byId("large-state").replaceChildren(element("span", { className: `badge ${colour}`, textContent: word }), ` ${item.message || whyOf(item)}`);
  byId("accept").setAttribute("aria-pressed", String(item.review?.verdict === "accepted"));
  byId("reject").setAttribute("aria-pressed", String(item.review?.verdict === "rejected"));
  if (isNew) byId("note").value = item.review?.note || "";
  const isBusy = item.state === "waiting" || item.state === "working";
  byId("cancel").hidden = !isBusy;
  for (const id of ["accept", "reject", "open-again"]) byId(id).disabled = isBusy || !item.mesh;
  for (const button of document.querySelectorAll("[data-facing], #again, #save-mask")) button.disabled = isBusy;
  for (const button of document.querySelectorAll("[data-facing]")) button.setAttribute("aria-pressed", String(item.facing === button.dataset.facing));
  showTab(isNew);
  const answer = await ask(`/asset/${item.key}/details`);
  if (!answer || opened !== item.key) return;
  const { figures, versions, view: seenFrom } = await answer.json();
  home = seenFrom;
  if (isNew && tab === "turn") (Object.assign(view, home), redraw());
  byId("figures").replaceChildren(...figures.flatMap(([label, value]) => [element("dt", { textContent: label }), element("dd", { textContent: value })]));
  byId("versions").replaceChildren(...versions.reverse().map((version) => {
    const words = `${version.number}: ${version.time.slice(0, 16).replace("T", " ")}, MaskIoU ${version.mask_iou?.toFixed(3) ?? "-"}`;
    const button = element("button", { type: "button", textContent: "Bring back", disabled: isBusy });
    button.setAttribute("aria-label", `Bring back version ${version.number}`);
    button.addEventListener("click", () => change(item.key, "restore", { number: version.number }));
    return element("li", {}, `${words} `, button);
  }));
}

async function showTab(isNew) {
  const item = items.get(opened);
  for (const button of document.querySelectorAll("[data-tab]")) {
    button.setAttribute("aria-selected", String(button.dataset.tab === tab));
    button.disabled = (button.dataset.tab === "fit" && !(item.mesh && item.photo)) || (button.dataset.tab === "mask" && !item.photo);
  }
  byId("turn").hidden = tab !== "turn";
  for (const name of ["fit", "mask"]) byId(name).hidden = tab !== name;
  for (const name of ["turn", "fit", "mask"]) byId(`${name}-tools`).hidden = tab !== name;
  if (tab === "turn") {
    if (isNew) Object.assign(view, FRONT, { look: view.look });
    if (`${item.key} ${item.version}` !== modelVersion) await loadModel(item);
    redraw();
  } else if (tab === "fit") {
    byId("fit-photo").src = `/asset/${item.key}/photo.jpg`;
    byId("fit-mesh").src = stillOf(item, "fitted");
    byId("fit-mesh").style.opacity = byId("slider").value / 100;
  } else if (isNew || !editor.isChanged) await loadMask(item);
}

async function loadModel(item) {
  if (model && painter) painter.release(model);
  [model, modelVersion] = [null, `${item.key} ${item.version}`];
  byId("turn").getContext("2d").clearRect(0, 0, byId("turn").width, byId("turn").height);
  if (!item.mesh) return;
  const withRig = isRigShown();
  const answer = await ask(`/asset/${item.key}/${withRig ? "walk" : "mesh"}.glb`);
  if (!answer && withRig) {
    for (const name of Object.keys(rigShown)) showRig(name, false); // it has none, and the page said so
    return loadModel(item);
  }
  if (!answer) return;
  try {
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const fresh = await readModel(bytes);
    if (withRig) fresh.rig = readRig(bytes);
    if (modelVersion === `${item.key} ${item.version}`) model = fresh;
  } catch (error) {
    note(`${item.name}: the mesh ${error.message}`);
  }
}

function showRig(name, isOn) {
  rigShown[name] = isOn;
  byId(name).setAttribute("aria-pressed", String(isOn));
}

async function toggleRig(name) {
  showRig(name, !rigShown[name]);
  if (model && isRigShown() && !model.rig) await loadModel(items.get(opened));
  redraw();
}

async function loadMask(item) {
  const [photo, mask] = await Promise.all(["photo.jpg", "mask.png"].map((name) => ask(`/asset/${item.key}/${name}`)));
  if (!photo || !mask || opened !== item.key) return;
  editor.load(...(await Promise.all([photo, mask].map(async (one) => createImageBitmap(await one.blob())))));
  document.documentElement.dataset.mask = item.key;
}

makeInteractive(byId("turn"), view, redraw);
addEventListener("resize", redraw);
const press = (all, one) => all.forEach((each) => each.setAttribute("aria-pressed", String(each === one)));
for (const button of document.querySelectorAll("[data-tab]")) button.addEventListener("click", () => ([tab] = [button.dataset.tab], showTab(true)));
const looks = [...document.querySelectorAll("[data-look]")];
for (const button of looks) button.addEventListener("click", () => (press(looks, button), (view.look = LOOKS[button.dataset.look]), redraw()));
for (const name of Object.keys(rigShown)) byId(name).addEventListener("click", () => toggleRig(name));
const tools = [...document.querySelectorAll("[data-tool]")];
for (const button of tools) button.addEventListener("click", () => (press(tools, button), (editor.tool = button.dataset.tool)));
for (const button of document.querySelectorAll("[data-facing]")) button.addEventListener("click", () => change(opened, "correct", { facing: button.dataset.facing }));
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
byId("brush-size").addEventListener("input", (event) => (editor.size = Number(event.target.value)));
byId("undo").addEventListener("click", () => editor.undo());
byId("slider").addEventListener("input", (event) => (byId("fit-mesh").style.opacity = event.target.value / 100));
byId("same").addEventListener("click", () => (Object.assign(view, FRONT, home, { look: view.look }), redraw()));
byId("back").addEventListener("click", () => (Object.assign(view, FRONT, { look: view.look, azimuth: 180 }), redraw()));
byId("save-mask").addEventListener("click", async () => {
  const answer = await ask(`/asset/${opened}/mask.png?version=${items.get(opened).version}`, { method: "PUT", body: await editor.png() });
  if (!answer) return;
  editor.isChanged = false;
  take({ items: [await answer.json()], gone: [] });
  note("Mask saved; the mesh is computed again", true);
});
byId("again").addEventListener("click", () => {
  const body = {};
  if (byId("steps").value) body.refine_steps = Number(byId("steps").value);
  if (byId("texture").value) body.texture_rows = Number(byId("texture").value);
  const name = byId("partner").value.trim();
  const partner = name && [...items.values()].find((item) => item.name === name);
  if (name && !partner) return note(`no asset is called ${name}`);
  if (partner) ask(`/asset/${opened}/join`, { method: "POST", body: JSON.stringify({ partner: partner.key }) });
  if (Object.keys(body).length || !partner) change(opened, "correct", body);
});
byId("cancel").addEventListener("click", () => ask(`/asset/${opened}/cancel`, { method: "POST" }));
byId("note").addEventListener("change", () => decide(opened, items.get(opened)?.review?.verdict ?? null));
byId("accept").addEventListener("click", () => decide(opened, "accepted"));
byId("reject").addEventListener("click", () => decide(opened, "rejected"));
byId("open-again").addEventListener("click", () => decide(opened, null));
byId("previous").addEventListener("click", () => go(-1));
byId("next").addEventListener("click", () => go(1));
byId("help").addEventListener("click", () => byId("keys").showModal());
large.addEventListener("close", () => ([opened] = [null], (editor.isChanged = false), document.querySelector(".card.current .pictures")?.focus()));

function decide(key, verdict) {
  const words = key === opened ? byId("note").value : items.get(key).review?.note || "";
  return change(key, "decide", { verdict, note: words });
}

function go(by) {
  const key = wall.step(by);
  if (key) openLarge(key);
}

// --- keys ----------------------------------------------------------------------------------------------------------

const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -wall.columns, ArrowDown: () => wall.columns };
const TURNED = { front: "back", back: "front", left: "right", right: "left" };
const ACTIONS = {
  a: (key) => items.get(key).mesh && decide(key, "accepted"),
  r: (key) => items.get(key).mesh && decide(key, "rejected"),
  f: (key) => change(key, "correct", { facing: TURNED[items.get(key).facing] || "back" }),
  m: (key) => (opened === key || openLarge(key), ([tab] = ["mask"]), showTab(true)),
  s: () => opened !== null && toggleRig("skeleton"),
  w: () => opened !== null && toggleRig("walk"),
  x: (key) => choose(key, !wall.chosen.has(key)),
  Enter: (key) => opened === null && openLarge(key),
};

addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.key === "/" && opened === null) byId("search").focus();
  else if (event.key === "PageDown" && opened !== null) go(1);
  else if (event.key === "PageUp" && opened !== null) go(-1);
  else if (MOVES[event.key] && opened === null) {
    const key = wall.step(MOVES[event.key]());
    if (!key) return;
    wall.goTo(key);
    wall.nodes.get(key)?.querySelector(".pictures").focus({ preventScroll: true });
  } else {
    const [key, action] = [opened ?? wall.current, ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key]];
    if (!action || !items.has(key) || (event.key === "Enter" && event.target.matches("button"))) return;
    action(key);
  }
  event.preventDefault();
});

listen();
