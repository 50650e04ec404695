// The viewer: one pane a plane, each with the moving image before, after, or both.

const EDGE_GREY = [255, 145, 0];
const EDGE_COLOUR = [0, 60, 255];
// Parts of the window that a picture may fill.
const HEIGHTS = { one: 0.62, both: 0.42, picture: 0.8 };

function makeViewer({ about, images, planes }) {
  const volume = about.shape.length === 3;
  const state = { which: "both", mode: "edges", phase: "fixed", timer: null };
  const byId = (id) => document.getElementById(id);
  const panes = planes.map(makePane);
  const colour = about.channels.warped === 3 || about.channels.before === 3;
  let strong = null;

  function makePane(plane) {
    const root = document.createElement("div");
    root.className = "pane " + plane.name;
    root.dataset.testid = "pane-" + plane.name;
    const pane = { plane, root, slice: Math.floor((plane.slices - 1) / 2), sources: {}, edges: {}, views: [] };
    for (const which of ["before", "after"]) {
      const { frame, canvas, badge } = makeFrame(plane, `canvas-${plane.name}-${which}`);
      root.append(frame);
      const view = { pane, which, frame, canvas, badge };
      pane.views.push(view);
      listen(view);
    }
    if (plane.slices > 1) {
      const { label, slider, where } = makeSlider(
        plane, pane.slice, "slice-" + plane.name, (slice) => goTo(pane, slice));
      root.append(label);
      Object.assign(pane, { slider, where });
    }
    byId("panes").append(root);
    return pane;
  }

  function listen(view) {
    if (view.pane.plane.slices > 1) onWheelAndKeys(view.canvas, (steps) => goTo(view.pane, view.pane.slice + steps));
    const follow = (event) => {
      if (!volume || !(event.buttons & 1)) return;
      const { plane } = view.pane;
      const box = view.canvas.getBoundingClientRect();
      const at = placed(view, box.width, box.height);
      const u = Math.floor(((event.clientX - box.left - at.x) / at.width) * plane.columns);
      const v = Math.floor(((event.clientY - box.top - at.y) / at.height) * plane.rows);
      for (const pane of panes) {
        if (pane.plane.through === plane.across) goTo(pane, plane.columns - 1 - u);
        if (pane.plane.through === plane.down) goTo(pane, plane.rows - 1 - v);
      }
    };
    view.canvas.addEventListener("pointerdown", follow);
    view.canvas.addEventListener("pointermove", follow);
  }

  function goTo(pane, slice) {
    const next = Math.min(pane.plane.slices - 1, Math.max(0, slice));
    if (next === pane.slice) return;
    pane.slice = next;
    pane.sources = {};
    pane.edges = {};
    drawAll();
  }

  function source(pane, name) {
    if (!pane.sources[name]) {
      pane.sources[name] = document.createElement("canvas");
      paintSlice(pane.sources[name], images[name], pane.plane, about.shape, pane.slice);
    }
    return pane.sources[name];
  }

  const placed = (view, width, height) => placedIn(planes, view.pane.plane, width, height);

  function layout() {
    const share = volume ? HEIGHTS[state.which === "both" ? "both" : "one"] : HEIGHTS.picture;
    const most = Math.max(260, share * window.innerHeight);
    for (const pane of panes) {
      for (const view of pane.views) {
        view.frame.hidden = state.which !== "both" && state.which !== view.which;
        if (view.frame.hidden) continue;
        sizeCanvas(view, planes, most);
      }
      pane.edges = {};
    }
    drawAll();
  }

  function edgeThreshold() {
    if (strong === null) {
      strong = Math.max(...panes.map((pane) => {
        const { width, height } = edgeSize(pane);
        return strongEdge(source(pane, "fixed"), width, height);
      }));
    }
    // From a fifth of a strong edge (many lines) to twice one (few).
    return strong * 10 ** (0.3 - Number(byId("edge-amount").value) / 100);
  }

  function edgeSize(pane) {
    const view = pane.views.find((shown) => !shown.frame.hidden);
    const at = placed(view, view.canvas.width / view.ratio, view.canvas.height / view.ratio);
    return { width: Math.max(8, Math.round(at.width)), height: Math.max(8, Math.round(at.height)) };
  }

  function edgesOf(pane) {
    const { width, height } = edgeSize(pane);
    const key = `${width} ${height} ${edgeThreshold()}`;
    if (pane.edges.key !== key) {
      const picture = outline(
        source(pane, "fixed"), width, height, edgeThreshold(), colour ? EDGE_COLOUR : EDGE_GREY);
      pane.edges = { key, picture };
    }
    return pane.edges.picture;
  }

  function draw(view) {
    const { pane, canvas, which } = view;
    const context = canvas.getContext("2d");
    const at = placed(view, canvas.width, canvas.height);
    const place = (picture) => context.drawImage(picture, at.x, at.y, at.width, at.height);
    const fixed = source(pane, "fixed");
    const moving = source(pane, which === "before" ? "before" : "warped");
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    if (state.mode === "fixed" || (state.mode === "flicker" && state.phase === "fixed")) {
      place(fixed);
    } else {
      place(moving);
    }
    if (state.mode === "edges") place(edgesOf(pane));
    if (state.mode === "blend") {
      place(fixed);
      context.globalAlpha = Number(byId("opacity").value) / 100;
      place(moving);
    }
    if (state.mode === "checkerboard") {
      const tile = Number(byId("tile").value) * at.scale;
      context.save();
      context.beginPath();
      for (let row = 0; row * tile < at.height; row++) {
        for (let column = row % 2; column * tile < at.width; column += 2) {
          context.rect(at.x + column * tile, at.y + row * tile, tile, tile);
        }
      }
      context.clip();
      place(fixed);
      context.restore();
    }
    context.globalAlpha = 1;
    if (volume && byId("cross").checked) cross(context, view, at);
    const words = which === "before" ? "Before" : "After";
    view.badge.textContent = {
      fixed: "Fixed",
      moving: words,
      flicker: state.phase === "fixed" ? "Fixed" : words,
      edges: words,
      checkerboard: `Fixed / ${words.toLowerCase()}`,
      blend: `Fixed + ${words.toLowerCase()}`,
    }[state.mode];
    const slice = pane.where ? `, slice ${pane.slice + 1} of ${pane.plane.slices}` : "";
    canvas.setAttribute("aria-label", `${pane.plane.name}${slice}, ${words.toLowerCase()}, ${state.mode}`);
  }

  // Where the other two planes cut this one; broken in the middle so that nothing is hidden there.
  function cross(context, view, at) {
    const { plane } = view.pane;
    const at_slice = (axis, count) => {
      const other = panes.find((pane) => pane.plane.through === axis);
      return (count - 1 - other.slice + 0.5) / count;
    };
    const x = at.x + at_slice(plane.across, plane.columns) * at.width;
    const y = at.y + at_slice(plane.down, plane.rows) * at.height;
    const gap = 10 * view.ratio;
    context.strokeStyle = "rgba(90, 200, 255, 0.7)";
    context.lineWidth = view.ratio;
    context.beginPath();
    context.moveTo(x, at.y);
    context.lineTo(x, y - gap);
    context.moveTo(x, y + gap);
    context.lineTo(x, at.y + at.height);
    context.moveTo(at.x, y);
    context.lineTo(x - gap, y);
    context.moveTo(x + gap, y);
    context.lineTo(at.x + at.width, y);
    context.stroke();
  }

  function drawAll() {
    for (const pane of panes) {
      for (const view of pane.views) if (!view.frame.hidden) draw(view);
      if (pane.where) {
        pane.slider.value = pane.slice;
        pane.where.textContent = `${pane.slice + 1} / ${pane.plane.slices}`;
        document.body.dataset["slice" + pane.plane.name[0].toUpperCase() + pane.plane.name.slice(1)] = pane.slice;
      }
    }
    Object.assign(document.body.dataset, {
      which: state.which, mode: state.mode, flickerPhase: state.phase, flickerRunning: String(state.timer !== null),
    });
  }

  function swap() {
    state.phase = state.phase === "fixed" ? "moving" : "fixed";
    drawAll();
  }

  function run(on) {
    clearInterval(state.timer);
    state.timer = on ? setInterval(swap, 1000 / Number(byId("flicker-rate").value)) : null;
    byId("flicker-run").textContent = on ? "Stop" : "Start";
    byId("flicker-run").setAttribute("aria-pressed", String(on));
    document.body.dataset.flickerRunning = String(on);
  }

  function choose(name, value) {
    state[name] = value;
    document.querySelector(`input[name="${name}"][value="${value}"]`).checked = true;
    for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== state.mode;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (name === "mode") run(value === "flicker" && !still);
    layout();
  }

  function outputs() {
    const unit = volume || about.spacing_mm.some((s) => s !== 1) ? " mm" : " px";
    for (const [id, after] of [["tile", unit], ["opacity", " %"], ["flicker-rate", ""]]) {
      document.querySelector(`output[for="${id}"]`).textContent = byId(id).value + after;
    }
  }

  function connect() {
    for (const name of ["which", "mode"]) {
      for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
        input.addEventListener("change", () => choose(name, input.value));
      }
    }
    const longest = Math.max(...planes.map((plane) => Math.max(plane.width_mm, plane.height_mm)));
    const digits = 10 ** Math.floor(Math.log10(longest / 40));
    Object.assign(byId("tile"), { min: digits, max: Math.ceil(longest / 2 / digits) * digits, step: digits });
    byId("tile").value = Math.round(longest / 9 / digits) * digits;
    for (const id of ["tile", "opacity", "edge-amount"]) {
      byId(id).addEventListener("input", () => { outputs(); drawAll(); });
    }
    byId("flicker-rate").addEventListener("input", () => { outputs(); if (state.timer !== null) run(true); });
    byId("flicker-run").addEventListener("click", () => run(state.timer === null));
    byId("flicker-swap").addEventListener("click", () => { run(false); swap(); });
    byId("cross").addEventListener("change", drawAll);
    byId("cross").closest("label").hidden = !volume;
    document.addEventListener("keydown", shortcut);
    let waiting = 0;
    window.addEventListener("resize", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(layout);
    });
    outputs();
    choose("mode", state.mode);
  }

  function shortcut(event) {
    const busy = event.target.closest("input[type=range], input[type=checkbox], button, summary, a, pre");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const modes = [...document.querySelectorAll('input[name="mode"]')].map((input) => input.value);
    if (modes[Number(event.key) - 1]) choose("mode", modes[Number(event.key) - 1]);
    if (event.key === "b") choose("which", state.which === "before" ? "after" : "before");
    if (event.key === " " && !busy && state.mode === "flicker") {
      event.preventDefault();
      run(false);
      swap();
    }
  }

  connect();
}
