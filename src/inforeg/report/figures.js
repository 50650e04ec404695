// Joint histograms, the learnt response, the copy button, and the start of it all.

// From dark blue over grey to yellow: ordered for every kind of colour vision and in print.
const SCALE = [[0, 34, 78], [35, 62, 108], [87, 93, 109], [124, 123, 120], [165, 156, 116], [211, 193, 100], [254, 232, 56]];

const scaleColour = (level) => colourAt(SCALE, level / 255);

function drawHistogram(canvas, table) {
  const levels = Uint8Array.from(atob(table.level), (c) => c.charCodeAt(0));
  const [across, up] = table.shape;
  canvas.width = across;
  canvas.height = up;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(across, up);
  for (let x = 0; x < across; x++) {
    for (let y = 0; y < up; y++) {
      const level = levels[x * up + y];
      const to = 4 * ((up - 1 - y) * across + x);
      const [red, green, blue] = level ? scaleColour(level) : [0, 0, 0];
      picture.data.set([red, green, blue, 255], to);
    }
  }
  context.putImageData(picture, 0, 0);
}

function drawResponse(canvas, cells) {
  [canvas.width, canvas.height] = cells.shape;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  picture.data.set(Uint8Array.from(atob(cells.rgba), (c) => c.charCodeAt(0)));
  context.putImageData(picture, 0, 0);
}

function drawScale(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${scaleColour((255 * x) / (canvas.width - 1)).join(",")})`;
    context.fillRect(x, 0, 1, 1);
  }
}

function connectCopy() {
  const button = document.getElementById("copy");
  if (!button) return;
  button.addEventListener("click", async () => {
    const command = document.getElementById("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // Pages opened from a file may not write to the clipboard: select it for the reader instead.
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
  });
}

async function start() {
  const message = document.getElementById("viewer-message");
  connectCopy();
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  if (typeof DecompressionStream === "undefined") {
    message.textContent = "This browser is too old to unpack the images: open the page in a current one.";
    document.body.dataset.ready = "failed";
    return;
  }
  try {
    const loaded = await loadImages();
    for (const name of ["before", "after"]) {
      drawHistogram(document.getElementById("histogram-" + name), loaded.about.histograms[name]);
    }
    drawScale(document.getElementById("colour-scale"));
    if (loaded.about.response) drawResponse(document.getElementById("response"), loaded.about.response);
    if (loaded.about.keypoints) makeKeypoints(loaded.about.keypoints);
    message.hidden = true;
    makeViewer(loaded);
    if (loaded.about.deformation) makeDeformation(loaded, await inflate("volume-deformation"));
    if (loaded.about.film) makeFilm(loaded.about.film, await inflate("volume-film"));
    document.body.dataset.ready = "true";
  } catch (error) {
    message.hidden = false;
    message.textContent = "The images on this page are damaged and cannot be shown.";
    document.body.dataset.ready = "failed";
    throw error;
  }
}

start();
