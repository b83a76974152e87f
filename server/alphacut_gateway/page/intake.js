// The ways a photo comes in: chosen, taken, dropped, pasted, fetched by the service, or one of the samples.

import { kindOf } from "./words.js";

const SNIFFED_BYTES = 16;

/**
 * Listen for photos everywhere on the page.
 *
 * onFile(file, note) and onUrl(address) take what came; note is a sentence for the person, or "". onRefused(sentence)
 * says why nothing came.
 */
export function listen({ onFile, onUrl, onRefused }) {
  const takeFiles = (files) => onFile(files[0], files.length > 1 ? `Only the first of ${files.length} files is used.` : "");
  listenToForms({ takeFiles, onFile, onUrl, onRefused });
  listenToDrops({ takeFiles, onUrl, onRefused });
  document.addEventListener("paste", (event) => {
    const data = event.clipboardData;
    if (data.files.length > 0) {
      event.preventDefault();
      takeFiles(data.files);
    } else if (!event.target.closest("input, textarea")) {
      const text = data.getData("text/plain").trim();
      if (isAddress(text)) onUrl(text);
      else onRefused("What you pasted is neither a picture nor a web address.");
    }
  });
}

/**
 * Read a file into memory, so that it can be sent again whatever becomes of it on disk.
 *
 * Returns {file, kind}; kind as of kindOf. Throws when it cannot be read, as a folder cannot.
 */
export async function load(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return { file: new File([bytes], file.name, { type: file.type }), kind: kindOf(bytes.subarray(0, SNIFFED_BYTES)) };
}

function listenToForms({ takeFiles, onFile, onUrl, onRefused }) {
  for (const id of ["choose", "camera"]) {
    document.getElementById(id).addEventListener("change", ({ target }) => {
      if (target.files.length > 0) takeFiles([...target.files]);
      // Emptied, so that choosing the same file again counts as a change.
      target.value = "";
    });
  }
  document.getElementById("url-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const address = document.getElementById("url").value.trim();
    if (isAddress(address)) onUrl(address);
    else onRefused("Enter a whole address, as https://example.com/photo.jpg.");
  });
  document.getElementById("samples").addEventListener("click", async (event) => {
    const name = event.target.closest("[data-sample]")?.dataset.sample;
    if (!name) return;
    try {
      const answer = await fetch(`page/samples/${name}`);
      if (!answer.ok) throw new Error(answer.statusText);
      onFile(new File([await answer.blob()], name, { type: "image/jpeg" }), "");
    } catch {
      onRefused("The sample could not be loaded. Check the connection and try again.");
    }
  });
}

function listenToDrops({ takeFiles, onUrl, onRefused }) {
  const veil = document.getElementById("veil");
  document.addEventListener("dragenter", ({ dataTransfer }) => {
    veil.hidden = !dataTransfer.types.some((type) => type === "Files" || type === "text/uri-list");
  });
  document.addEventListener("dragleave", (event) => {
    // Leaving one element for another has a relatedTarget; leaving the window has none.
    if (event.relatedTarget === null) veil.hidden = true;
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    veil.hidden = true;
    const { files } = event.dataTransfer;
    const address = event.dataTransfer.getData("text/uri-list").split("\n").find((line) => isAddress(line.trim()));
    if (files.length > 0) takeFiles(files);
    else if (address) onUrl(address.trim());
    else onRefused("What you dropped is neither a picture nor a web address.");
  });
}

// A whole address; whether it may be fetched is the service's to say.
function isAddress(text) {
  return /^https?:\/\/\S+$/i.test(text) && URL.canParse(text);
}
