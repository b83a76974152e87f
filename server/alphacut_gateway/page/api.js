// The calls to the service: what goes out, and what may come back. Knows no page.

export const DEFAULT_MODES = ["fg-image", "fg-image-shadow", "fg-mask"];

const MEDIA_TYPES = { PNG: "image/png", WEBP: "image/webp", JPEG: "image/jpeg" };
// A multiple of 4 characters, so that each slice is base64 by itself; decoding one takes a few milliseconds.
const SLICE_CHARS = 1024 * 1024;

/**
 * A call that brought no picture.
 *
 * kind: "failure" (answered, but this picture cannot be cut), "status" (an HTTP error) or "network" (no answer).
 */
export class Problem extends Error {
  constructor(kind, { message = "", status = 0, retryAfterS = null } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** Return the names of the modes; throws when the service does not tell. */
export async function listModes(key) {
  const answer = await get("v1/modes", key);
  return answer.json();
}

/** Return the service's version as v1.2.3; throws when the service does not tell. */
export async function readVersion(key) {
  const answer = await get("v1/version", key);
  return answer.text();
}

/**
 * Have a picture cut.
 *
 * source: {file} or {url}. options: {mode, color, backdrop, fit, format, crop}. onProgress is called with the share of
 * the upload, 0 to 1; 1 means that the service is at work. Resolves to
 * {blob, format, width, height, box, totalMs, stages}; box is null or {x, y, width, height} as shares of the picture.
 * Rejects with a Problem, or with an AbortError once the signal is aborted.
 */
export async function cut(source, options, { key, signal, onProgress }) {
  const answer = await send(`v1/results?${query(options)}`, body(source, options), { key, signal, onProgress });
  const result = read(answer);
  const [image, found] = result.entities;
  const corners = found?.objects?.[0]?.box;
  const blob = await toBlob(image.image, MEDIA_TYPES[image.format] ?? "application/octet-stream");
  signal.throwIfAborted();
  return {
    blob,
    format: image.format,
    width: result.width,
    height: result.height,
    box: corners ? { x: corners[0], y: corners[1], width: corners[2], height: corners[3] } : null,
    totalMs: answer.totalMs,
    stages: readServerTiming(answer.serverTiming),
  };
}

/** Read a Server-Timing header: [{name, ms}], without the entries that have no duration. */
export function readServerTiming(header) {
  const entries = [];
  for (const entry of (header ?? "").split(",")) {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim());
    const duration = parameters.find((parameter) => parameter.startsWith("dur="));
    if (name && duration) entries.push({ name, ms: Number(duration.slice("dur=".length)) });
  }
  return entries.filter(({ ms }) => Number.isFinite(ms));
}

async function get(path, key) {
  const answer = await fetch(path, { headers: key ? { "X-API-KEY": key } : {} });
  if (!answer.ok) throw new Problem("status", { status: answer.status });
  return answer;
}

function query({ mode, color, backdrop, fit, format, crop }) {
  const wanted = new URLSearchParams({ mode });
  // What is as by default is left unsaid: those are extensions of the documented API.
  if (color) wanted.set("bg-color", color);
  if (backdrop && fit !== "none") wanted.set("bg-fit", fit);
  if (format !== "png") wanted.set("format", format);
  if (crop) wanted.set("crop", "true");
  return wanted;
}

function body(source, { backdrop }) {
  const form = new FormData();
  if (source.file) form.set("image", source.file, source.file.name);
  else form.set("url", source.url);
  if (backdrop) form.set("image-bg", backdrop, backdrop.name);
  return form;
}

// XMLHttpRequest, for fetch does not tell how far an upload is.
function send(path, form, { key, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const beganMs = performance.now();
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    if (key) request.setRequestHeader("X-API-KEY", key);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    request.onload = () =>
      resolve({
        status: request.status,
        text: request.responseText,
        retryAfter: request.getResponseHeader("Retry-After"),
        serverTiming: request.getResponseHeader("Server-Timing"),
        totalMs: performance.now() - beganMs,
      });
    request.onerror = () => reject(new Problem("network"));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function read({ status, text, retryAfter }) {
  const answer = parse(text);
  if (status !== 200) throw new Problem("status", { status, message: sentence(answer), retryAfterS: seconds(retryAfter) });
  const result = answer?.results?.[0];
  if (result?.status?.code === "ok" && result.entities?.[0]?.image) return result;
  if (result?.status?.code === "failure") throw new Problem("failure", { message: result.status.message });
  throw new Problem("status", { status });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    // HTML, as of 413 or from a proxy: the status says enough.
    return null;
  }
}

function sentence(answer) {
  const detail = answer?.detail;
  if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${loc?.at(-1) ?? "request"}: ${msg}`).join("; ");
  return answer?.message ?? (typeof detail === "string" ? detail : "");
}

function seconds(retryAfter) {
  const value = Number.parseInt(retryAfter ?? "", 10);
  return Number.isNaN(value) ? null : value;
}

// In slices with a breath between, so that a large picture does not freeze the page.
async function toBlob(base64, type) {
  const parts = [];
  for (let start = 0; start < base64.length; start += SLICE_CHARS) {
    const binary = atob(base64.slice(start, start + SLICE_CHARS));
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
    parts.push(bytes);
    if (base64.length > SLICE_CHARS) await new Promise((resolve) => setTimeout(resolve));
  }
  return new Blob(parts, { type });
}
