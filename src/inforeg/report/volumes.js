// The images of the page: unpacked once, cut into slices on demand.

async function inflate(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Volumes increase to the right, anterior and superior. On the screen the patient's right is on the left, the nose
// points up or left and the head up: all three axes run against the screen's.
const PLANES_3D = [
  { name: "axial", across: 0, down: 1, through: 2, letters: ["R", "L", "A", "P"] },
  { name: "coronal", across: 0, down: 2, through: 1, letters: ["R", "L", "S", "I"] },
  { name: "sagittal", across: 1, down: 2, through: 0, letters: ["A", "P", "S", "I"] },
];
const PLANES_2D = [{ name: "picture", across: 0, down: 1, through: null, letters: null }];

async function loadImages() {
  const about = JSON.parse(document.getElementById("report-data").textContent);
  const images = {};
  for (const [name, channels] of Object.entries(about.channels)) {
    images[name] = { voxels: await inflate("volume-" + name), channels };
  }
  const planes = (about.shape.length === 3 ? PLANES_3D : PLANES_2D).map((plane) => ({
    ...plane,
    columns: about.shape[plane.across],
    rows: about.shape[plane.down],
    slices: plane.through === null ? 1 : about.shape[plane.through],
    width_mm: about.shape[plane.across] * about.spacing_mm[plane.across],
    height_mm: about.shape[plane.down] * about.spacing_mm[plane.down],
    reversed: about.shape.length === 3,
  }));
  return { about, images, planes };
}

// Paint slice `index` of an image on `canvas`, one pixel a voxel. Arrays are in C order, channels last.
function paintSlice(canvas, image, plane, shape, index) {
  const { columns, rows, across, down, through } = plane;
  const { voxels, channels } = image;
  const strides = new Array(shape.length);
  let stride = channels;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const picture = context.createImageData(columns, rows);
  const start = through === null ? 0 : index * strides[through];
  const green = channels === 3 ? 1 : 0;
  const blue = channels === 3 ? 2 : 0;
  let to = 0;
  for (let v = 0; v < rows; v++) {
    const row = start + (plane.reversed ? rows - 1 - v : v) * strides[down];
    for (let u = 0; u < columns; u++) {
      const from = row + (plane.reversed ? columns - 1 - u : u) * strides[across];
      picture.data[to] = voxels[from];
      picture.data[to + 1] = voxels[from + green];
      picture.data[to + 2] = voxels[from + blue];
      picture.data[to + 3] = 255;
      to += 4;
    }
  }
  context.putImageData(picture, 0, 0);
}

// A picture on the page: its canvas, a badge, and in volumes the letters of the four sides.
function makeFrame(plane, testid) {
  const frame = document.createElement("div");
  frame.className = "frame";
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.dataset.testid = testid;
  const badge = document.createElement("span");
  badge.className = "badge";
  frame.append(canvas, badge);
  (plane.letters || []).forEach((letter, side) => {
    const mark = document.createElement("span");
    mark.className = "letter " + ["left", "right", "top", "bottom"][side];
    mark.textContent = letter;
    mark.setAttribute("aria-hidden", "true");
    frame.append(mark);
  });
  return { frame, canvas, badge };
}

function makeSlider(plane, slice, testid, changed) {
  const label = document.createElement("label");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: plane.slices - 1, step: 1, value: slice });
  slider.dataset.testid = testid;
  const name = document.createElement("span");
  name.textContent = plane.name[0].toUpperCase() + plane.name.slice(1);
  const where = document.createElement("output");
  label.className = "slice";
  label.append(name, slider, where);
  slider.addEventListener("input", () => changed(Number(slider.value)));
  return { label, slider, where };
}

function onWheelAndKeys(canvas, scroll) {
  let rolled = 0;
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    event.preventDefault();
    rolled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(rolled);
    rolled -= steps;
    scroll(-Math.sign(steps) * Math.min(5, Math.abs(steps)));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!step) return;
    event.preventDefault();
    scroll(step);
  });
}

// Where a slice lies in a frame of a size. All planes share one scale, so that a centimetre is a centimetre everywhere.
function placedIn(planes, plane, width, height) {
  const scale = Math.min(
    ...planes.map((other) => width / other.width_mm),
    ...planes.map((other) => height / other.height_mm),
  );
  const size = { width: plane.width_mm * scale, height: plane.height_mm * scale, scale };
  return { ...size, x: (width - size.width) / 2, y: (height - size.height) / 2 };
}

// Room for the drawing: as wide as its frame, as high as the highest plane at that scale, and no more than `most`.
function sizeCanvas(view, planes, most) {
  const tallest_mm = Math.max(...planes.map((plane) => plane.height_mm));
  const widest_mm = Math.max(...planes.map((plane) => plane.width_mm));
  const width = view.frame.clientWidth;
  const height = Math.round(Math.min(most, (width / widest_mm) * tallest_mm));
  // The height on the page follows from the width and the shape of the drawing, in print as well.
  const ratio = window.devicePixelRatio || 1;
  view.canvas.width = Math.round(width * ratio);
  view.canvas.height = Math.round(height * ratio);
  view.ratio = ratio;
}

// A colour of a scale, from its first (0) to its last (1).
function colourAt(scale, share) {
  const at = share * (scale.length - 1);
  const low = Math.min(scale.length - 2, Math.floor(at));
  return scale[low].map((c, n) => Math.round(c + (at - low) * (scale[low + 1][n] - c)));
}
