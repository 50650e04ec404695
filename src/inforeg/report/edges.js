// Thin outlines of a slice: blur, gradient, ridge of the gradient, hysteresis; and lines of one level.

function greyOf(source, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const grey = new Float32Array(width * height);
  for (let n = 0; n < grey.length; n++) {
    grey[n] = 0.299 * rgba[4 * n] + 0.587 * rgba[4 * n + 1] + 0.114 * rgba[4 * n + 2];
  }
  return grey;
}

function blur(grey, width, height, sigma) {
  const radius = Math.max(1, Math.ceil(2.5 * sigma));
  const weights = [];
  let sum = 0;
  for (let d = -radius; d <= radius; d++) {
    weights.push(Math.exp((-d * d) / (2 * sigma * sigma)));
    sum += weights[weights.length - 1];
  }
  const pass = (input, step, length, lines, lineStep) => {
    const output = new Float32Array(input.length);
    for (let line = 0; line < lines; line++) {
      for (let n = 0; n < length; n++) {
        let total = 0;
        for (let d = -radius; d <= radius; d++) {
          const at = Math.min(length - 1, Math.max(0, n + d));
          total += weights[d + radius] * input[line * lineStep + at * step];
        }
        output[line * lineStep + n * step] = total / sum;
      }
    }
    return output;
  };
  return pass(pass(grey, 1, width, height, width), width, height, width, 1);
}

// The gradient where it is largest across the edge, 0 elsewhere.
function ridges(source, width, height) {
  const grey = blur(greyOf(source, width, height), width, height, Math.max(2, (0.7 * width) / source.width));
  const strength = new Float32Array(grey.length);
  const across = new Float32Array(grey.length);
  const down = new Float32Array(grey.length);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const n = y * width + x;
      across[n] = (grey[n + 1] - grey[n - 1]) / 2;
      down[n] = (grey[n + width] - grey[n - width]) / 2;
      strength[n] = Math.hypot(across[n], down[n]);
    }
  }
  const ridge = new Float32Array(grey.length);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const n = y * width + x;
      if (strength[n] < 0.05) continue;
      const angle = Math.atan2(down[n], across[n]);
      const octant = Math.round((angle / Math.PI) * 4 + 8) % 4;
      const step = [1, width + 1, width, width - 1][octant];
      if (strength[n] >= strength[n - step] && strength[n] > strength[n + step]) ridge[n] = strength[n];
    }
  }
  return ridge;
}

// What counts as a strong edge in this picture: a high quantile of its ridges.
function strongEdge(source, width, height) {
  const found = ridges(source, width, height).filter((value) => value > 0.3).sort();
  return found.length ? found[Math.floor(0.9 * found.length)] : 1;
}

function outline(source, width, height, threshold, colour) {
  const ridge = ridges(source, width, height);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const kept = new Uint8Array(ridge.length);
  const open = [];
  for (let n = 0; n < ridge.length; n++) {
    if (ridge[n] >= threshold) {
      kept[n] = 1;
      open.push(n);
    }
  }
  // From the strong edges along the weaker ones that touch them.
  while (open.length) {
    const n = open.pop();
    for (const step of [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1]) {
      const next = n + step;
      if (!kept[next] && ridge[next] >= 0.45 * threshold) {
        kept[next] = 1;
        open.push(next);
      }
    }
  }
  for (let n = 0; n < kept.length; n++) {
    if (!kept[n]) continue;
    picture.data[4 * n] = colour[0];
    picture.data[4 * n + 1] = colour[1];
    picture.data[4 * n + 2] = colour[2];
    picture.data[4 * n + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

// Lines of one level through rows of values, by marching squares; dashes are about so many cells long, 0 for none.
function contour(values, level, dash, place) {
  const path = new Path2D();
  const rise = (a, b) => (level - a) / (b - a);
  for (let v = 0; v + 1 < values.length; v++) {
    for (let u = 0; u + 1 < values[v].length; u++) {
      if (dash && (Math.floor(u / dash) + Math.floor(v / dash)) % 2) continue;
      const corners = [values[v][u], values[v][u + 1], values[v + 1][u + 1], values[v + 1][u]];
      if (corners.includes(null)) continue;
      const [a, b, c, d] = corners;
      const cuts = [];
      if (a > level !== b > level) cuts.push([u + rise(a, b), v]);
      if (b > level !== c > level) cuts.push([u + 1, v + rise(b, c)]);
      if (d > level !== c > level) cuts.push([u + rise(d, c), v + 1]);
      if (a > level !== d > level) cuts.push([u, v + rise(a, d)]);
      for (let n = 0; n + 1 < cuts.length; n += 2) {
        path.moveTo(...place(...cuts[n]));
        path.lineTo(...place(...cuts[n + 1]));
      }
    }
  }
  return path;
}
