"use strict";
// Turning, moving and zooming a view with mouse, fingers and keys.

/** Let a person turn, move and zoom `view` on `canvas`; `changed()` is called after each step. */
function makeInteractive(canvas, view, changed) {
  const pointers = new Map(); // pointer id -> place in half heights, the middle is (0, 0), y up
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const [right, down] = [event.clientX - box.left, event.clientY - box.top];
    return [(2 * right - box.width) / box.height, 1 - (2 * down) / box.height];
  };
  const turn = (azimuth, elevation) => {
    view.azimuth += azimuth;
    view.elevation = Math.max(-89, Math.min(89, view.elevation + elevation));
  };
  const zoom = (factor, [x, y]) => {
    const grown = Math.max(1, Math.min(12, view.zoom * factor)) / view.zoom;
    view.zoom *= grown;
    [view.panX, view.panY] = view.zoom === 1 ? [0, 0] : [x - (x - view.panX) * grown, y - (y - view.panY) * grown];
  };
  const on = (name, act) => canvas.addEventListener(name, (event) => act(event) !== false && changed());
  const keys = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
  on("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
  });
  for (const name of ["pointerup", "pointercancel"]) on(name, (event) => !pointers.delete(event.pointerId));
  on("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return false;
    const now = place(event);
    pointers.set(event.pointerId, now);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const [from, to] = [before, now].map(([x, y]) => Math.hypot(x - other[0], y - other[1]));
      zoom(to / Math.max(from, 0.01), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (!event.shiftKey) turn(-90 * (now[0] - before[0]), -90 * (now[1] - before[1]));
    const slide = other ? 0.5 : Number(event.shiftKey); // two fingers share the way
    view.panX += slide * (now[0] - before[0]);
    view.panY += slide * (now[1] - before[1]);
  });
  on("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-0.0015 * event.deltaY), place(event));
  });
  on("keydown", (event) => {
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.2 : 1 / 1.2, [0, 0]);
    else if (keys[event.key]) turn(...keys[event.key]);
    else return false;
    event.preventDefault();
  });
  on("dblclick", () => Object.assign(view, FRONT, { lit: view.lit }));
}
