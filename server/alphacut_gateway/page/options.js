// The panel beside the photo: which options it offers, and what is chosen.

import { DEFAULT_MODES } from "./api.js";

const MODE_NAMES = { "fg-image": "Cut-out", "fg-image-shadow": "With shadow", "fg-mask": "Mask" };
const MASK = "fg-mask";
const byId = (id) => document.getElementById(id);

/** The form of options. Calls onChange(isGradual) when a choice changes what the service is asked for. */
export class Options {
  constructor(form, onChange) {
    this.form = form;
    this.backdrop = null;
    this.modes = [];
    this.offer(DEFAULT_MODES);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      this.#arrange();
      // The backdrop's file and the outline are not the service's to know of; the picture itself comes by `usePicture`.
      if (target.id === "backdrop" || target.id === "show-box") return;
      onChange(target.id === "color");
    });
  }

  /** Offer these modes, the default first; what was chosen stays chosen while it is among them. */
  offer(names) {
    const modes = [...names].sort((one, other) => rank(one) - rank(other));
    if (modes.join() === this.modes.join()) return;
    const chosen = modes.includes(this.mode) ? this.mode : modes[0];
    this.modes = modes;
    byId("modes").replaceChildren(...modes.map((name) => segment("mode", name, MODE_NAMES[name] ?? name, name === chosen)));
    this.#arrange();
  }

  /** Put this picture behind the subject. */
  usePicture(backdrop) {
    this.backdrop = backdrop;
    byId("backdrop-name").textContent = backdrop.name;
  }

  /** Return the mode chosen; undefined before any is offered. */
  get mode() {
    return this.form.elements.mode?.value;
  }

  /** Return what the service is to be asked for; see `cut` in api.js. */
  chosen() {
    const { color, fit, format, crop } = this.form.elements;
    const background = this.mode === MASK ? "none" : this.#background;
    return {
      mode: this.mode,
      color: background === "color" ? color.value : null,
      // None yet: asked as without a background, until there is one.
      backdrop: background === "picture" ? this.backdrop : null,
      fit: fit.value,
      format: format.value,
      crop: crop.checked,
    };
  }

  get #background() {
    return this.form.elements.background.value;
  }

  #arrange() {
    const isMask = this.mode === MASK;
    for (const input of document.querySelectorAll('input[name="background"]')) input.disabled = isMask;
    byId("no-background").hidden = !isMask;
    byId("for-color").hidden = isMask || this.#background !== "color";
    byId("for-picture").hidden = isMask || this.#background !== "picture";
  }
}

function rank(mode) {
  const place = DEFAULT_MODES.indexOf(mode);
  return place < 0 ? DEFAULT_MODES.length : place;
}

function segment(group, value, words, isChosen) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value });
  // As an attribute too, so that it is what a form reset returns to.
  input.toggleAttribute("checked", isChosen);
  const caption = Object.assign(document.createElement("span"), { textContent: words });
  const label = document.createElement("label");
  label.append(input, caption);
  return label;
}
