// The large picture: the photo, its progress, the result beside it, or what went wrong.

import { fileName, showFacts } from "./facts.js";

const byId = (id) => document.getElementById(id);

/** Shows one of four things at a time: a photo under way, a result, a problem, or nothing. */
export class Stage {
  constructor(compare) {
    this.compare = compare;
    this.frame = byId("frame");
    this.before = byId("before");
    this.after = byId("after");
    this.hasBefore = false;
    // Settles once the browser knows whether it can show the photo.
    this.looked = Promise.resolve();
    this.box = null;
    this.isOutlined = false;
    this.countdown = 0;
  }

  /** Show a new photo, without a result. */
  showSource({ file }) {
    this.clear();
    if (!file) return;
    this.before.src = URL.createObjectURL(file);
    this.looked = this.before.decode().then(
      () => {
        this.hasBefore = true;
        this.before.hidden = false;
        // A problem may have been faster than the browser's look at the photo.
        this.frame.hidden = false;
        this.#shape(this.before);
      },
      // No picture to the browser, or already replaced by another: the frame stays as it is.
      () => {},
    );
  }

  /** Show how far the upload is, 0 to 1; at 1 the service is at work, for as long as it takes. */
  showUpload(share) {
    const hadFocus = byId("problem").contains(document.activeElement);
    this.#hideProblem();
    this.frame.hidden = false;
    byId("busy").hidden = false;
    if (hadFocus) byId("cancel").focus();
    this.frame.ariaBusy = "true";
    const bar = byId("bar");
    const isUploading = share < 1;
    byId("busy-text").textContent = isUploading ? `Uploading ${Math.round(share * 100)} %` : "Cutting…";
    bar.classList.toggle("endless", !isUploading);
    if (isUploading) bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    else bar.removeAttribute("aria-valuenow");
    bar.firstElementChild.style.width = isUploading ? `${share * 100}%` : "";
  }

  /** Show a result, unless the signal is aborted meanwhile; name is the photo's, mode the one asked for. */
  async showResult(result, { name, mode, signal }) {
    const isFirst = this.after.hidden;
    const address = URL.createObjectURL(result.blob);
    const loaded = new Image();
    loaded.src = address;
    await Promise.all([loaded.decode(), this.looked]);
    if (signal.aborted) {
      URL.revokeObjectURL(address);
      return;
    }
    this.#release(this.after);
    this.after.src = address;
    this.after.alt = result.box ? "The result" : "The result; no subject was found";
    this.after.hidden = false;
    const hadFocus = this.#idle();
    this.#shape(loaded);
    // A cropped result does not lie over the photo, and a photo at an address is not ours to show.
    const size = { width: loaded.naturalWidth, height: loaded.naturalHeight };
    const isComparable = this.hasBefore && size.width === this.before.naturalWidth && size.height === this.before.naturalHeight;
    this.#comparable(isComparable);
    if (isComparable && isFirst) this.compare.reveal();
    this.box = size.width === result.width && size.height === result.height ? result.box : null;
    this.outline(this.isOutlined);
    showFacts(result, size);
    const link = byId("download");
    link.href = address;
    link.download = fileName(name, mode, result.format);
    byId("made").textContent = link.download;
    byId("actions").hidden = false;
    if (hadFocus) link.focus();
  }

  /**
   * Show words instead of a result; the photo stays in sight.
   *
   * words: see `explain` in words.js, and isCalm for what is no failure. retryAfterS: for how long trying again is no use.
   */
  showProblem({ title, advice, canRetry, canShrink, asksForKey, isBackdrop, isCalm }, retryAfterS = 0) {
    const hadFocus = this.#idle();
    this.#dropResult();
    this.frame.hidden = !this.hasBefore;
    byId("problem").classList.toggle("calm", Boolean(isCalm));
    byId("problem-title").textContent = title;
    byId("problem-advice").textContent = advice;
    byId("again").hidden = !canRetry;
    byId("shrink").hidden = !canShrink;
    byId("other").hidden = Boolean(canRetry || asksForKey || isBackdrop);
    byId("key-form").hidden = !asksForKey;
    byId("problem").hidden = false;
    this.#countDown(retryAfterS);
    if (asksForKey) byId("key").focus();
    else if (hadFocus) byId(canRetry ? "again" : "work-title").focus();
  }

  /** Draw the subject's box, or not. */
  outline(isWanted) {
    this.isOutlined = isWanted;
    const box = byId("box");
    box.hidden = !isWanted || !this.box;
    if (box.hidden) return;
    const { x, y, width, height } = this.box;
    Object.assign(box.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
  }

  /** Forget photo and result. */
  clear() {
    this.#idle();
    this.#hideProblem();
    this.#dropResult();
    this.#release(this.before);
    this.before.hidden = true;
    this.hasBefore = false;
    this.frame.hidden = false;
    for (const property of ["--ratio", "--native"]) this.frame.style.removeProperty(property);
  }

  #dropResult() {
    this.#release(this.after);
    this.after.hidden = true;
    this.box = null;
    byId("box").hidden = true;
    byId("actions").hidden = true;
    byId("facts").hidden = true;
    this.#comparable(false);
    if (this.hasBefore) {
      this.before.hidden = false;
      this.#shape(this.before);
    }
  }

  #comparable(isComparable) {
    for (const id of ["handle", "tag-before", "tag-after"]) byId(id).hidden = !isComparable;
    this.frame.classList.toggle("comparable", isComparable);
    this.before.hidden = !isComparable;
  }

  #shape({ naturalWidth, naturalHeight }) {
    this.frame.style.setProperty("--ratio", String(naturalWidth / naturalHeight));
    this.frame.style.setProperty("--native", `${naturalWidth}px`);
  }

  // Returns whether the keyboard was on Cancel, and so needs another place now.
  #idle() {
    const busy = byId("busy");
    const hadFocus = busy.contains(document.activeElement);
    busy.hidden = true;
    this.frame.ariaBusy = "false";
    return hadFocus;
  }

  #hideProblem() {
    clearInterval(this.countdown);
    byId("problem").hidden = true;
  }

  // Each turn looks at the clock, for a tab in the background gets its turns late.
  #countDown(waitS) {
    clearInterval(this.countdown);
    const button = byId("again");
    const freeAtMs = performance.now() + waitS * 1000;
    const tell = () => {
      const leftS = Math.ceil((freeAtMs - performance.now()) / 1000);
      button.ariaDisabled = String(leftS > 0);
      button.textContent = leftS > 0 ? `Try again in ${leftS} s` : "Try again";
      if (leftS <= 0) clearInterval(this.countdown);
    };
    this.countdown = setInterval(tell, 250);
    tell();
  }

  #release(image) {
    if (image.src) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
  }
}
