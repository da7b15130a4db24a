"use strict";
// Adding photos: chosen, pasted, or dropped, folders with all below them.

const UPLOADS_AT_ONCE = 2;
const waiting = [];
let uploading = 0;

function add(files) {
  waiting.push(...files);
  while (uploading < UPLOADS_AT_ONCE && waiting.length) upload(waiting.shift());
}

async function upload({ file, name }) {
  uploading++;
  byId("summary").textContent = `sending ${name}`;
  const path = name.split("/").map(encodeURIComponent).join("/");
  const answer = await ask(`/photo/${path}`, { method: "PUT", body: file });
  for (const one of answer ? await answer.json() : []) if (one.error) note(`${one.name}: ${one.error.message}. ${one.error.hint}`);
  uploading--;
  if (waiting.length) upload(waiting.shift());
}

/** All files of what was dropped, folders with all below them. */
async function filesOf(entry, folder = "") {
  if (entry.isFile) return [{ name: folder + entry.name, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  const [reader, found] = [entry.createReader(), []];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return found;
    for (const inner of part) found.push(...(await filesOf(inner, `${folder}${entry.name}/`)));
  }
}

const named = (files) => [...files].map((file) => ({ file, name: file.name || `pasted.${file.type.split("/")[1] || "png"}` }));
byId("add").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => (add(named(event.target.files)), (event.target.value = "")));
addEventListener("paste", (event) => event.clipboardData.files.length && add(named(event.clipboardData.files)));
addEventListener("dragover", (event) => (event.preventDefault(), (byId("drop").hidden = false)));
addEventListener("dragleave", (event) => event.relatedTarget || (byId("drop").hidden = true));
addEventListener("drop", async (event) => {
  event.preventDefault();
  byId("drop").hidden = true;
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return add(named(event.dataTransfer.files));
  for (const entry of entries) add(await filesOf(entry));
});
