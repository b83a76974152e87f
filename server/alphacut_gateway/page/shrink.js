// Making a photo small enough for the service, in the browser.

import { MAX_FILE_BYTES } from "./words.js";

const MAX_SIDE_PX = 4096;
// Halves the pixels; six turns bring 4096 px down to 700.
const TURN = 0.7;
const TURNS = 6;
const JPEG_QUALITY = 0.92;

/** Return the photo within the service's limits. Throws when the browser cannot read it or make it small enough. */
export async function shrink(file) {
  const picture = await createImageBitmap(file);
  try {
    // A PNG may be transparent, which JPEG cannot keep.
    const type = file.type === "image/png" ? "image/png" : "image/jpeg";
    let side = MAX_SIDE_PX;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const blob = await redraw(picture, side, type);
      if (blob && blob.size < MAX_FILE_BYTES) return new File([blob], file.name, { type });
      side *= TURN;
    }
    throw new Error("too large at any size");
  } finally {
    picture.close();
  }
}

async function redraw(picture, maxSide, type) {
  const scale = Math.min(1, maxSide / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(picture.width * scale));
  canvas.height = Math.max(1, Math.floor(picture.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
}
