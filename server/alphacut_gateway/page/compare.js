// The before/after slider: pointer, keyboard, and the sweep that shows it can be moved.

const STEP = 0.02;
const PAGE = 0.1;
const SWEEP_MS = 700;
const KEYS = {
  ArrowLeft: (share) => share - STEP,
  ArrowDown: (share) => share - STEP,
  ArrowRight: (share) => share + STEP,
  ArrowUp: (share) => share + STEP,
  PageDown: (share) => share - PAGE,
  PageUp: (share) => share + PAGE,
  Home: () => 0,
  End: () => 1,
};

/** Divides a frame at `share` of its width: the picture before lies left of it, the picture after right. */
export class Compare {
  constructor(frame, handle) {
    this.frame = frame;
    this.handle = handle;
    this.share = 0.5;
    this.sweep = 0;
    handle.addEventListener("keydown", (event) => this.#onKey(event));
    frame.addEventListener("pointerdown", (event) => this.#onPointer(event));
    frame.addEventListener("pointermove", (event) => frame.hasPointerCapture(event.pointerId) && this.#follow(event));
  }

  /** Divide at a share of the width, 0 to 1. */
  set(share) {
    this.share = Math.min(1, Math.max(0, share));
    const percent = Math.round(this.share * 100);
    this.frame.style.setProperty("--cut", `${this.share * 100}%`);
    this.handle.setAttribute("aria-valuenow", String(percent));
    this.handle.setAttribute("aria-valuetext", `${percent} % before, ${100 - percent} % after`);
  }

  /** Sweep from all before to half and half; at once for people who want no motion. */
  reveal() {
    cancelAnimationFrame(this.sweep);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.set(0.5);
      return;
    }
    const beganMs = performance.now();
    const step = (nowMs) => {
      const done = Math.min(1, Math.max(0, (nowMs - beganMs) / SWEEP_MS));
      this.set(1 - 0.5 * (1 - (1 - done) ** 3));
      if (done < 1) this.sweep = requestAnimationFrame(step);
    };
    this.set(1);
    this.sweep = requestAnimationFrame(step);
  }

  #onKey(event) {
    const move = KEYS[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    cancelAnimationFrame(this.sweep);
    this.set(move(this.share));
  }

  #onPointer(event) {
    if (this.handle.hidden || event.button !== 0 || event.target.closest("button")) return;
    cancelAnimationFrame(this.sweep);
    this.frame.setPointerCapture(event.pointerId);
    this.#follow(event);
    this.handle.focus({ preventScroll: true });
    event.preventDefault();
  }

  #follow(event) {
    const { left, width } = this.frame.getBoundingClientRect();
    this.set((event.clientX - left) / width);
  }
}
