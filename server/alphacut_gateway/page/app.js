// The page as a whole: from a photo to a request to what is shown of its answer.

import { Problem, cut, listModes, readVersion } from "./api.js";
import { Compare } from "./compare.js";
import { duration } from "./facts.js";
import { listen, load } from "./intake.js";
import { Options } from "./options.js";
import { shrink } from "./shrink.js";
import { Stage } from "./stage.js";
import { MAX_FILE_BYTES, explain, explainTooLarge, isTaken } from "./words.js";

const KEY_ITEM = "alphacut-api-key";
// Long enough that dragging through colours asks once, short enough to feel immediate.
const SETTLE_MS = 350;
const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    // What is being cut: {file, kind} or {url}, with a name; null while the page waits for one.
    this.source = null;
    this.backdropKind = null;
    // Aborts the request under way.
    this.call = new AbortController();
    this.timer = 0;
    this.stage = new Stage(new Compare(byId("frame"), byId("handle")));
    this.options = new Options(byId("options"), (isGradual) => this.plan(isGradual ? SETTLE_MS : 0));
    // The key for as long as the page lives, where the browser keeps none.
    this.unstoredKey = "";
  }

  /** Wire every control, then ask the service what it offers. */
  start() {
    listen({
      onFile: (file, note) => this.takeFile(file, note),
      onUrl: (url) => this.takeSource({ url, name: nameIn(url) }, ""),
      onRefused: (words) => this.refuse(words),
    });
    for (const id of ["new", "other"]) byId(id).addEventListener("click", () => this.restart());
    byId("cancel").addEventListener("click", () => this.cancel());
    byId("again").addEventListener("click", () => byId("again").ariaDisabled !== "true" && this.run());
    byId("shrink").addEventListener("click", () => this.shrinkAndRun());
    byId("key-form").addEventListener("submit", (event) => this.useKey(event));
    byId("forget-key").addEventListener("click", () => this.keep(""));
    byId("backdrop").addEventListener("change", ({ target }) => this.takeBackdrop(target));
    byId("show-box").addEventListener("change", ({ target }) => this.stage.outline(target.checked));
    byId("forget-key").hidden = !this.key;
    this.introduce();
  }

  /** Tell the service's version and offer the modes it has. */
  async introduce() {
    try {
      byId("version").textContent = `alphacut ${await readVersion(this.key)}.`;
      this.options.offer(await listModes(this.key));
    } catch (error) {
      // A service that wants a key says so at the first photo; the documented modes are offered meanwhile.
      const isShut = error instanceof Problem && error.status === 401;
      byId("version").textContent = isShut ? "This service asks for an API key." : "The service does not answer at the moment.";
    }
  }

  get key() {
    try {
      return sessionStorage.getItem(KEY_ITEM) ?? "";
    } catch {
      return this.unstoredKey;
    }
  }

  keep(key) {
    this.unstoredKey = key;
    try {
      if (key) sessionStorage.setItem(KEY_ITEM, key);
      else sessionStorage.removeItem(KEY_ITEM);
    } catch {
      // Storage is switched off in this browser.
    }
    byId("forget-key").hidden = !key;
  }

  async takeFile(file, note) {
    try {
      this.takeSource({ ...(await load(file)), name: file.name }, note);
    } catch {
      this.refuse("This cannot be read. A folder? Choose a picture file.");
    }
  }

  takeSource(source, note) {
    this.source = source;
    byId("offer").hidden = true;
    byId("work").hidden = false;
    byId("offer-problem").textContent = "";
    byId("work-title").textContent = source.name;
    byId("work-title").focus();
    this.stage.showSource(source);
    const isOdd = source.file && !isTaken(source.kind);
    byId("note").textContent = isOdd ? `This looks like ${source.kind ? `a ${source.kind} file` : "no picture"}, but the service decides.` : note;
    this.run();
  }

  async takeBackdrop(input) {
    if (input.files.length === 0) return;
    try {
      const { file, kind } = await load(input.files[0]);
      this.backdropKind = kind;
      this.options.usePicture(file);
      this.plan(0);
    } catch {
      this.refuse("The background picture cannot be read. Choose another one.");
    }
    input.value = "";
  }

  /** Ask again soon, for the options have changed. */
  plan(delayMs) {
    clearTimeout(this.timer);
    if (this.source) this.timer = setTimeout(() => this.run(), delayMs);
  }

  async run() {
    const { source, call } = this.#begin();
    const options = this.options.chosen();
    const tooLarge = [source.file, options.backdrop].find((file) => file && file.size >= MAX_FILE_BYTES);
    if (tooLarge) {
      this.stage.showProblem(explainTooLarge(tooLarge.size, tooLarge !== source.file));
      return;
    }
    this.stage.showUpload(0);
    this.say(source.file ? "Uploading." : "Fetching.");
    try {
      const result = await cut(source, options, {
        key: this.key,
        signal: call.signal,
        onProgress: (share) => this.stage.showUpload(share),
      });
      if (call.signal.aborted) return;
      await this.stage.showResult(result, { name: source.name, mode: options.mode, signal: call.signal });
      if (!call.signal.aborted) this.say(`Done in ${duration(result.totalMs)}.${result.box ? "" : " No subject was found."}`);
    } catch (error) {
      if (call.signal.aborted) return;
      this.fail(error);
    }
  }

  fail(error) {
    // Anything but a Problem is a fault of this page: shown as one, and left for the console to tell.
    const problem = error instanceof Problem ? error : new Problem("status", { message: "This page failed. Reload it and try again." });
    const words = explain(problem, {
      kind: this.source.kind ?? null,
      backdropKind: this.backdropKind,
      isOnline: navigator.onLine,
      hadKey: Boolean(this.key),
    });
    byId("note").textContent = "";
    this.stage.showProblem({ ...words, canShrink: words.canShrink && Boolean(this.source.file) }, problem.retryAfterS ?? 0);
    if (!(error instanceof Problem)) throw error;
  }

  cancel() {
    clearTimeout(this.timer);
    this.call.abort();
    this.stage.showProblem({ title: "Cancelled", advice: "Nothing is under way now.", canRetry: true, isCalm: true });
  }

  async shrinkAndRun() {
    const { source, call } = this.#begin();
    this.stage.showUpload(0);
    try {
      const file = await shrink(source.file);
      if (call.signal.aborted) return;
      this.source = { ...(await load(file)), name: source.name };
      this.stage.showSource(this.source);
      this.run();
    } catch {
      if (call.signal.aborted) return;
      this.stage.showProblem({ title: "This browser cannot make the file smaller", advice: "It may be no picture, or of a kind that the browser does not know." });
    }
  }

  useKey(event) {
    event.preventDefault();
    const key = byId("key").value.trim();
    if (!key) return;
    byId("key").value = "";
    this.keep(key);
    this.introduce();
    this.run();
  }

  refuse(words) {
    byId(this.source ? "note" : "offer-problem").textContent = words;
  }

  restart() {
    clearTimeout(this.timer);
    this.call.abort();
    this.source = null;
    this.stage.clear();
    byId("work").hidden = true;
    byId("offer").hidden = false;
    byId("choose").focus();
  }

  // One thing at a time: whatever was under way is dropped.
  #begin() {
    clearTimeout(this.timer);
    this.call.abort();
    this.call = new AbortController();
    return { source: this.source, call: this.call };
  }

  say(words) {
    byId("status").textContent = words;
  }
}

function nameIn(url) {
  const { pathname, hostname } = new URL(url);
  const last = pathname.split("/").filter(Boolean).at(-1) ?? hostname;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

new Page().start();
