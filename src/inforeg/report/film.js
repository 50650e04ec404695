// The film: the moving image as the registration moved it, over the fixed one that stays.

const FRAME_MS = 125;
const STILL_MS = 1000;

function makeFilm(about, bytes) {
  const byId = (id) => document.getElementById(id);
  const panes = about.panes.map((pane, n) => {
    const canvas = byId("film-" + n);
    canvas.width = pane.columns;
    canvas.height = pane.rows;
    return { ...pane, canvas, name: canvas.getAttribute("aria-label") };
  });
  const size = panes.reduce((sum, pane) => sum + pane.rows * pane.columns, 0);
  const last = about.labels.length - 1;
  const tile_mm = Math.max(...panes.map((pane) => Math.max(...pane.size_mm))) / 9;
  const slider = byId("film-frame");
  const state = { frame: 0, mode: "overlay", timer: null };

  function draw() {
    let start = 0;
    for (const pane of panes) {
      paint(pane, start, (1 + state.frame) * size + start);
      start += pane.rows * pane.columns;
      pane.canvas.setAttribute("aria-label", `${pane.name}, ${state.mode}: ${about.labels[state.frame]}`);
    }
    slider.value = state.frame;
    byId("film-where").textContent = about.labels[state.frame];
    follow(about.steps[state.frame]);
    document.body.dataset.filmFrame = state.frame;
  }

  function paint(pane, fixed, moving) {
    const { rows, columns, canvas } = pane;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(columns, rows);
    const across = columns * tile_mm / pane.size_mm[0];
    const down = rows * tile_mm / pane.size_mm[1];
    let to = 0;
    for (let row = 0; row < rows; row++) {
      const odd = Math.floor(row / down) % 2;
      for (let column = 0; column < columns; column++) {
        const f = bytes[fixed++];
        const m = bytes[moving++];
        const whole = state.mode === "moving" || (Math.floor(column / across) % 2 !== odd) ? m : f;
        picture.data[to] = state.mode === "overlay" ? m : whole;
        picture.data[to + 1] = state.mode === "overlay" ? f : whole;
        picture.data[to + 2] = picture.data[to];
        picture.data[to + 3] = 255;
        to += 4;
      }
    }
    context.putImageData(picture, 0, 0);
  }

  // The charts of the run show where the film is.
  function follow(step) {
    for (const line of document.querySelectorAll("line.now")) {
      const steps = Math.max(1, Number(line.dataset.count) - 1);
      line.setAttribute("visibility", step === null || step > steps ? "hidden" : "visible");
      for (const end of ["x1", "x2"]) line.setAttribute(end, `${(100 * (step || 0)) / steps}%`);
    }
  }

  function show(frame) {
    state.frame = Math.min(last, Math.max(0, frame));
    draw();
  }

  function play(on) {
    clearTimeout(state.timer);
    state.timer = null;
    if (on) {
      if (state.frame === last) show(0);
      wait();
    }
    byId("film-play").textContent = on ? "Pause" : "Play";
    document.body.dataset.filmRunning = String(on);
  }

  function wait() {
    const still = state.frame === 0 || about.pauses.includes(state.frame);
    state.timer = setTimeout(() => {
      show(state.frame + 1);
      if (state.frame === last) play(false);
      else wait();
    }, still ? STILL_MS : FRAME_MS);
  }

  // Once, when it is first looked at; never for readers who asked for stillness.
  function whenSeen() {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      if (state.frame === 0) play(true);
    }, { threshold: 0.6 });
    watcher.observe(panes[0].canvas);
    for (const name of ["input", "pointerdown"]) slider.addEventListener(name, () => watcher.disconnect());
  }

  byId("film-play").addEventListener("click", () => play(state.timer === null));
  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  for (const input of document.querySelectorAll('input[name="film-mode"]')) {
    input.addEventListener("change", () => {
      state.mode = input.value;
      byId("film-overlay-words").hidden = state.mode !== "overlay";
      draw();
    });
  }
  play(false);
  draw();
  whenSeen();
}
