// What is told about a result: how long it took, how large it is, where the subject lies, what to call the file.

const KIB = 1024;
const SUFFIXES = { "fg-image": "cutout", "fg-image-shadow": "shadow", "fg-mask": "mask" };
const EXTENSIONS = { PNG: "png", WEBP: "webp", JPEG: "jpg" };
const byId = (id) => document.getElementById(id);

/** Fill the panel of facts. result: see `cut` in api.js; size: {width, height} of the picture that came, px. */
export function showFacts(result, size) {
  const servedMs = result.stages.reduce((sum, { ms }) => sum + ms, 0);
  byId("fact-time").textContent = duration(result.totalMs) + (servedMs ? ` (service ${duration(servedMs)})` : "");
  byId("fact-size").textContent = `${size.width} × ${size.height} px, ${result.format}, ${bytes(result.blob.size)}`;
  byId("fact-box").textContent = boxWords(result);
  const longest = Math.max(...result.stages.map(({ ms }) => ms), 1e-9);
  byId("stages").replaceChildren(...result.stages.map((stage) => stageRow(stage, longest)));
  byId("stages").hidden = result.stages.length === 0;
  byId("facts").hidden = false;
}

/** Return a duration in words, from ms. */
export function duration(ms) {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** Return the name to save a result under: photo.jpg cut out becomes photo.cutout.png. */
export function fileName(sourceName, mode, format) {
  const stem = sourceName.replace(/\.[^.]{1,5}$/, "") || "photo";
  const suffix = SUFFIXES[mode] ?? mode;
  return `${stem}.${suffix}.${EXTENSIONS[format] ?? "bin"}`;
}

/** Return a size in words, from bytes. */
export function bytes(count) {
  if (count < KIB) return `${count} B`;
  return count < KIB * KIB ? `${Math.round(count / KIB)} KiB` : `${(count / KIB / KIB).toFixed(1)} MiB`;
}

function boxWords({ box, width, height }) {
  if (!box) return "no subject was found";
  const [left, top] = [Math.round(box.x * width), Math.round(box.y * height)];
  return `${Math.round(box.width * width)} × ${Math.round(box.height * height)} px at ${left}, ${top}`;
}

function stageRow({ name, ms }, longest) {
  const row = document.createElement("li");
  const meter = document.createElement("i");
  meter.style.width = `${Math.max(1, (ms / longest) * 100)}%`;
  row.append(span(name), meter, span(duration(ms)));
  return row;
}

function span(words) {
  return Object.assign(document.createElement("span"), { textContent: words });
}
