// Keypoints: grey slices below the points, and the same point everywhere when it is pointed at.

function makeKeypoints(pictures) {
  for (const [key, picture] of Object.entries(pictures)) {
    const canvas = document.getElementById("keypoints-" + key);
    [canvas.width, canvas.height] = picture.shape;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const grey = Uint8Array.from(atob(picture.grey), (c) => c.charCodeAt(0));
    for (let n = 0; n < grey.length; n++) image.data.set([grey[n], grey[n], grey[n], 255], 4 * n);
    context.putImageData(image, 0, 0);
  }
  const section = document.querySelector('[data-testid="keypoints"]');
  const show = (target, shown) => {
    const point = target.dataset?.point;
    if (point === undefined) return;
    for (const one of section.querySelectorAll(`[data-point="${point}"]`)) one.classList.toggle("same", shown);
  };
  section.addEventListener("pointerover", (event) => show(event.target, true));
  section.addEventListener("pointerout", (event) => show(event.target, false));
}
