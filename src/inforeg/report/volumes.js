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
  for (const name of ["fixed", "before", "warped"]) {
    images[name] = { voxels: await inflate("volume-" + name), channels: about.channels[name] };
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
