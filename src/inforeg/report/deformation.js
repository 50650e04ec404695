// The deformation: a bent grid over the moving image, and how much every place grew or shrank.

const GRID_COLOUR = "#6ee7ff";
const OUTLINE_COLOUR = [140, 140, 140];
const FOLD_COLOUR = "#ffe600";
const UNDER_WORDS = { undeformed: "Before", warped: "After", fixed: "Fixed" };

function makeDeformation({ about, images, planes }, bytes) {
  const byId = (id) => document.getElementById(id);
  const { shape, vectors_shape, limit, reach_mm, step_mm, unit, start, places, stops } = about.deformation;
  const ndim = shape.length;
  // Each byte says how far it is above the one before; sums wrap around as the differences did.
  for (let n = 1; n < bytes.length; n++) bytes[n] += bytes[n - 1];
  const measure = ndim === 2 ? "area" : "volume";
  const count = (sizes) => sizes.reduce((product, n) => product * n, 1);
  const vectors = [...Array(ndim).keys()].map((axis) => {
    const first = count(shape) + axis * count(vectors_shape);
    return bytes.subarray(first, first + count(vectors_shape));
  });
  const state = { under: "undeformed", mark: null };
  const panes = planes.map(makePane);
  let strong = null;

  function makePane(plane) {
    const root = document.createElement("div");
    root.className = "pane " + plane.name;
    const pane = { plane, root, slice: 0, sources: {} };
    pane.slice = plane.through === null ? 0 : sliceAt(plane, start[plane.through]);
    pane.views = ["grid", "change"].map((kind) => {
      const view = { kind, pane, ...makeFrame(plane, `${kind}-${plane.name}`) };
      view.frame.classList.add(kind);
      root.append(view.frame);
      if (plane.slices > 1) onWheelAndKeys(view.canvas, (steps) => goTo(pane, pane.slice + steps));
      for (const name of ["pointermove", "pointerdown"]) view.canvas.addEventListener(name, (event) => tell(view, event));
      return view;
    });
    if (plane.slices > 1) {
      const made = makeSlider(plane, pane.slice, "deformed-slice-" + plane.name, (slice) => goTo(pane, slice));
      root.append(made.label);
      Object.assign(pane, made);
    }
    byId("deformation-panes").append(root);
    return pane;
  }

  function sliceAt(plane, share) {
    return Math.min(plane.slices - 1, Math.max(0, Math.floor(share * plane.slices)));
  }

  function goTo(pane, slice) {
    const next = Math.min(pane.plane.slices - 1, Math.max(0, slice));
    if (next === pane.slice) return;
    pane.slice = next;
    pane.sources = {};
    drawPane(pane);
  }

  // Shares of the way along each axis, for a place in a slice; the screen may run against the axes.
  function shares(pane, across, down) {
    const { plane, slice } = pane;
    const share = new Array(ndim);
    share[plane.across] = plane.reversed ? 1 - across : across;
    share[plane.down] = plane.reversed ? 1 - down : down;
    if (plane.through !== null) share[plane.through] = (slice + 0.5) / plane.slices;
    return share;
  }

  function onScreen(plane, share) {
    const [across, down] = [share[plane.across], share[plane.down]];
    return plane.reversed ? [1 - across, 1 - down] : [across, down];
  }

  // The logarithm at the cell that holds a place; null in a fold.
  function logAt(share) {
    let index = 0;
    for (let axis = 0; axis < ndim; axis++) {
      const cell = Math.min(shape[axis] - 1, Math.max(0, Math.floor(share[axis] * shape[axis])));
      index = index * shape[axis] + cell;
    }
    return bytes[index] ? ((bytes[index] - 128) / 127) * limit : null;
  }

  function displacementAt(share) {
    const moved = new Array(ndim).fill(0);
    for (let corner = 0; corner < 1 << ndim; corner++) {
      let index = 0;
      let weight = 1;
      for (let axis = 0; axis < ndim; axis++) {
        const n = vectors_shape[axis];
        const at = Math.min(n - 1, Math.max(0, share[axis] * n - 0.5));
        const low = Math.min(Math.max(0, n - 2), Math.floor(at));
        const up = (corner >> axis) & 1;
        weight *= up ? at - low : 1 - (at - low);
        index = index * n + Math.min(n - 1, low + up);
      }
      if (weight) for (let axis = 0; axis < ndim; axis++) moved[axis] += weight * (vectors[axis][index] - 128);
    }
    return moved.map((level) => (level / 127) * reach_mm);
  }

  function inPercent(log) {
    const change = 100 * Math.expm1(log);
    const size = Math.abs(change).toFixed(Math.abs(change) < 10 ? 1 : 0);
    const sign = Number(size) === 0 ? "" : change > 0 ? "+" : "−";
    return `${sign}${size} %`;
  }

  function words(log, moved) {
    const change = log === null ? "a fold" : `${inPercent(log)} in ${measure}`;
    return `${change}, moved by ${moved.toFixed(moved < 10 ? 1 : 0)} ${unit}`;
  }

  function tell(view, event) {
    const box = view.canvas.getBoundingClientRect();
    const at = placedIn(planes, view.pane.plane, box.width, box.height);
    const across = (event.clientX - box.left - at.x) / at.width;
    const down = (event.clientY - box.top - at.y) / at.height;
    if (across < 0 || across > 1 || down < 0 || down > 1) return;
    const share = shares(view.pane, across, down);
    const log = logAt(share);
    const beyond = log !== null && Math.abs(log) >= 0.999 * limit ? (log > 0 ? "≥ " : "≤ ") : "";
    byId("deformation-where").textContent =
      `Under the pointer: ${beyond}${words(log, Math.hypot(...displacementAt(share)))}`;
  }

  function source(pane, name) {
    if (!pane.sources[name]) {
      pane.sources[name] = document.createElement("canvas");
      paintSlice(pane.sources[name], images[name], pane.plane, about.shape, pane.slice);
    }
    return pane.sources[name];
  }

  // The slice of the map as rows of logarithms, as it stands on the screen.
  function mapOf(pane) {
    const { plane } = pane;
    const [columns, rows] = [shape[plane.across], shape[plane.down]];
    const logs = [];
    for (let v = 0; v < rows; v++) {
      logs.push([]);
      for (let u = 0; u < columns; u++) logs[v].push(logAt(shares(pane, (u + 0.5) / columns, (v + 0.5) / rows)));
    }
    return { columns, rows, logs };
  }

  function drawGrid(view, context, at) {
    const { plane } = view.pane;
    const bent = state.under === "undeformed";
    const path = new Path2D();
    const sides = [plane.width_mm, plane.height_mm];
    for (const [along, over] of [[0, 1], [1, 0]]) {
      // Lines lie evenly about the middle.
      const first = (sides[over] / 2) % step_mm;
      for (let place = first; place < sides[over]; place += step_mm) {
        for (let n = 0, end = Math.ceil((6 * sides[along]) / step_mm); n <= end; n++) {
          const point = [];
          point[along] = n / end;
          point[over] = place / sides[over];
          const share = shares(view.pane, ...point);
          const moved = bent ? displacementAt(share) : null;
          const sign = plane.reversed ? -1 : 1;
          const x = at.x + (point[0] * sides[0] + (moved ? sign * moved[plane.across] : 0)) * at.scale;
          const y = at.y + (point[1] * sides[1] + (moved ? sign * moved[plane.down] : 0)) * at.scale;
          path[n ? "lineTo" : "moveTo"](x, y);
        }
      }
    }
    context.lineJoin = "round";
    for (const [colour, width] of [["rgba(0, 0, 0, 0.55)", 2.6], [GRID_COLOUR, 1.1]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * view.ratio;
      context.stroke(path);
    }
  }

  function drawChange(view, context, at) {
    const { columns, rows, logs } = mapOf(view.pane);
    const small = document.createElement("canvas");
    [small.width, small.height] = [columns, rows];
    const picture = small.getContext("2d").createImageData(columns, rows);
    logs.flat().forEach((log, n) => {
      picture.data.set([...colourAt(stops, log === null ? 0 : (log / limit + 1) / 2), 255], 4 * n);
    });
    small.getContext("2d").putImageData(picture, 0, 0);
    context.drawImage(small, at.x, at.y, at.width, at.height);
    const size = [at.width, at.height].map((side) => Math.max(8, Math.round(side / view.ratio)));
    if (strong === null) strong = strongEdge(source(view.pane, "fixed"), ...size);
    const lines = outline(source(view.pane, "fixed"), ...size, 0.8 * strong, OUTLINE_COLOUR);
    context.drawImage(lines, at.x, at.y, at.width, at.height);
    const [wide, high] = [at.width / columns, at.height / rows];
    const dash = Math.max(1, Math.round(Math.max(columns, rows) / 64));
    for (const [level, cells] of [[limit / 2, 0], [-limit / 2, dash]]) {
      const path = contour(logs, level, cells, (u, v) => [at.x + (u + 0.5) * wide, at.y + (v + 0.5) * high]);
      context.strokeStyle = "#000";
      context.lineWidth = 1.4 * view.ratio;
      context.stroke(path);
    }
    return markFolds(view, context, logs, (u, v) => [at.x + u * wide, at.y + v * high, wide, high]);
  }

  // Larger than the cell where that is small: one fold in a million must be seen.
  function markFolds(view, context, logs, cell) {
    const found = [];
    logs.forEach((row, v) => row.forEach((log, u) => { if (log === null) found.push(cell(u, v)); }));
    for (const [colour, rim] of [["#000", 2], [FOLD_COLOUR, 0]]) {
      context.fillStyle = colour;
      for (const [x, y, wide, high] of found) {
        const [w, h] = [wide, high].map((side) => Math.max(side, 6 * view.ratio) + 2 * rim * view.ratio);
        context.fillRect(x + (wide - w) / 2, y + (high - h) / 2, w, h);
      }
    }
    return found.length;
  }

  function drawMark(view, context, at) {
    const { plane, slice } = view.pane;
    if (!state.mark || (plane.through !== null && sliceAt(plane, state.mark[plane.through]) !== slice)) return;
    const [across, down] = onScreen(plane, state.mark);
    for (const [colour, width] of [["#000", 5], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * view.ratio;
      context.beginPath();
      context.arc(at.x + across * at.width, at.y + down * at.height, 11 * view.ratio, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function draw(view) {
    const { pane, canvas, badge, kind } = view;
    const { plane } = pane;
    const context = canvas.getContext("2d");
    const at = placedIn(planes, plane, canvas.width, canvas.height);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.save();
    context.beginPath();
    context.rect(at.x, at.y, at.width, at.height);
    context.clip();
    let said = "";
    if (kind === "grid") {
      context.drawImage(source(pane, state.under), at.x, at.y, at.width, at.height);
      if (byId("grid-lines").checked) drawGrid(view, context, at);
      badge.textContent = UNDER_WORDS[state.under];
      said = UNDER_WORDS[state.under].toLowerCase();
      if (byId("grid-lines").checked) said += state.under === "undeformed" ? ", bent grid" : ", straight grid";
    } else {
      const folds = drawChange(view, context, at);
      badge.textContent = measure[0].toUpperCase() + measure.slice(1);
      said = `${measure} change, ${folds ? `folds in ${folds} ${folds > 1 ? "cells" : "cell"}` : "no folds"}`;
    }
    drawMark(view, context, at);
    context.restore();
    const slice = plane.slices > 1 ? `, slice ${pane.slice + 1} of ${plane.slices}` : "";
    canvas.setAttribute("aria-label", `${plane.name}${slice}, ${said}`);
  }

  function drawPane(pane) {
    pane.views.forEach(draw);
    if (pane.slider) {
      pane.slider.value = pane.slice;
      pane.where.textContent = `${pane.slice + 1} / ${pane.plane.slices}`;
      const name = pane.plane.name;
      document.body.dataset["deformed" + name[0].toUpperCase() + name.slice(1)] = pane.slice;
    }
  }

  function layout() {
    const most = Math.max(260, (ndim === 3 ? 0.5 : 0.8) * window.innerHeight);
    for (const pane of panes) for (const view of pane.views) sizeCanvas(view, planes, most);
    panes.forEach(drawPane);
  }

  function show(name) {
    state.mark = places[name].at;
    for (const pane of panes.filter((one) => one.plane.through !== null)) {
      pane.slice = sliceAt(pane.plane, state.mark[pane.plane.through]);
      pane.sources = {};
    }
    byId("deformation-where").textContent = "In the ring: " + words(places[name].log, places[name].mm);
    panes.forEach(drawPane);
  }

  for (const input of document.querySelectorAll('input[name="under"]')) {
    input.addEventListener("change", () => { state.under = input.value; panes.forEach(drawPane); });
  }
  for (const button of document.querySelectorAll("button[data-place]")) {
    button.addEventListener("click", () => show(button.dataset.place));
  }
  byId("grid-lines").addEventListener("change", () => panes.forEach(drawPane));
  byId("grid-step").textContent = `${step_mm} ${unit}`;
  let waiting = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(layout);
  });
  layout();
}
