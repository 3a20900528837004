// The panels beside the picture: object, styles, palette, gallery.

import { ask, askJson, askUrl } from "./api.js";

const $ = (id) => document.getElementById(id);
const MOST_AXES = 8, MOST_OTHERS = 6;
const MAPS_LATER = 500; // milliseconds, by which the page may know later than the server that an object is gone
const OF_TRAITS = "What sets its label's styles apart: standard deviations along a principal axis of their features";

/** What is offered for the selected object alone. */
const offered = () => [$("axes"), $("styles")];

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export class Panels {
  constructor(app) {
    this.app = app;
    this.fillPalette();
    $("search").addEventListener("input", () => this.filterPalette());
    $("style-from").addEventListener("submit", (event) => {
      event.preventDefault();
      app.setStyle({ image: $("style-image").value });
    });
    $("style-image").append(...app.run.images.map((name) => make("option", { value: name, textContent: name })));
    $("gallery-label").addEventListener("change", () => this.showObjects().catch(({ message }) => app.say(message)));
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.openGallery()).observe($("gallery-panel"));
  }

  swatch(label) {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = this.app.css(label);
    return swatch;
  }

  // ------------------------------------------------------------ labels

  fillPalette() {
    const { app } = this;
    this.items = app.run.labels.map(({ name }, label) => {
      const about = { type: "button", title: `${name} (label ${label})`, onclick: () => app.chooseLabel(label) };
      const item = make("button", about, this.swatch(label), make("span", { textContent: name }));
      item.setAttribute("role", "option");
      item.dataset.label = label;
      return item;
    });
    $("palette").append(...this.items);
    $("palette").addEventListener("pointerleave", () => this.sortPalette());
    $("search").addEventListener("keydown", (event) => {
      const first = this.items.find((item) => !item.hidden);
      if (event.key !== "Enter" || !first) return;
      first.click();
      $("search").value = "";
      this.filterPalette();
      first.focus();
    });
    $("palette").addEventListener("keydown", (event) => {
      const step = { ArrowDown: 2, ArrowUp: -2, ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const shown = [...$("palette").children].filter((item) => !item.hidden);
      const at = shown.indexOf(document.activeElement);
      if (!step || at < 0) return;
      shown[Math.min(shown.length - 1, Math.max(0, at + step))].focus();
      event.preventDefault();
      event.stopPropagation();
    });
  }

  filterPalette() {
    const word = $("search").value.trim().toLowerCase();
    this.items.forEach((item, label) => {
      item.hidden = !`${this.app.run.labels[label].name} ${label}`.toLowerCase().includes(word);
    });
  }

  showLabels(there, chosen) {
    this.items.forEach((item, label) => {
      item.classList.toggle("there", there.has(label));
      item.setAttribute("aria-selected", label === chosen);
    });
    this.there = there;
    this.sortPalette();
    this.app.showPaint();
  }

  /** Labels that are in the scene come first. Below a pointer, which may be about to click, none moves. */
  sortPalette() {
    const { there } = this, palette = $("palette"), { activeElement } = document;
    const key = [...there].sort((a, b) => a - b).join();
    if (key === this.order || palette.matches(":hover")) return;
    this.order = key;
    const isThere = (item) => there.has(Number(item.dataset.label));
    palette.append(...[...this.items].sort((a, b) => isThere(b) - isThere(a)));
    if (palette.contains(activeElement)) activeElement.focus({ preventScroll: true });
  }

  // ------------------------------------------------------------ the selected object

  async showObject() {
    const { app } = this, { selection, maps } = app;
    const ids = selection.filter((thing) => "inst" in thing).map(({ inst }) => inst);
    $("object-actions").hidden = !selection.length;
    const ofSelected = document.querySelectorAll("#joins [value=selected], #over [value=selected]");
    for (const option of ofSelected) option.disabled = !selection.length;
    const line = $("object");
    if (!selection.length) {
      line.replaceChildren("Click an object to select it; shift-click adds one.");
    } else if (selection.length > 1) {
      line.replaceChildren(`${selection.length} objects`);
    } else {
      const label = app.labelOf(selection[0]);
      line.replaceChildren(this.swatch(label), ` ${app.describe(label, ids[0])}`);
      line.title = ids.length ? `instance ${ids[0]}` : "";
    }
    $("style-panel").hidden = !app.run.feat_num || !ids.length;
    this.styled?.abort();
    // What is there is of the object before, until its own comes.
    for (const part of offered()) part.inert = true;
    if ($("style-panel").hidden) return;
    const { signal } = this.styled = new AbortController();
    try {
      await this.showStyles(ids[0], maps, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      for (const part of offered()) part.replaceChildren();
      await new Promise((resolve) => setTimeout(resolve, MAPS_LATER));
      if (!signal.aborted) app.say(error.message); // else it was another object by then
    }
  }

  async showStyles(inst, maps, signal) {
    const { app } = this, path = app.path;
    const about = await askJson(`${path}/styles/${inst}`, undefined, signal);
    this.showAxes(about.axes);
    const same = [...maps.instancesOf(about.label)].filter(([id]) => id !== inst && !app.run.by_label);
    const largest = same.sort((a, b) => b[1] - a[1]).slice(0, MOST_OTHERS);
    const asCentre = (_, centre) => ({ style: { centre }, title: `Style ${centre + 1} of its label` });
    const asOther = ([instance]) => ({ style: { instance }, title: `As ${app.describe(about.label, instance)}` });
    const styles = [
      { style: null, title: "As it is now" },
      ...Array.from({ length: about.centres }, asCentre),
      ...largest.map(asOther),
    ];
    const captions = { 0: "Now", 1: "Styles of its label", [1 + about.centres]: "As other objects" };
    const buttons = styles.map(({ style, title }) => {
      const button = make("button", { type: "button", title, onclick: () => style && app.setStyle(style) });
      button.setAttribute("aria-label", title);
      button.classList.toggle("now", !style);
      return button;
    });
    $("styles").replaceChildren(...buttons.flatMap((button, place) => {
      const textContent = captions[place];
      return textContent ? [make("p", { className: "soft", textContent }), button] : [button];
    }));
    for (const part of offered()) part.inert = false;
    for (const [place, { style }] of styles.entries()) {
      // One by one, so that the picture itself never waits for more than one of them.
      const src = await askUrl(`${path}/thumbnail`, { instance: inst, style }, signal);
      const image = make("img", { src, alt: "" });
      image.onload = () => URL.revokeObjectURL(src);
      buttons[place].replaceChildren(image);
    }
  }

  showAxes(axes) {
    const { app } = this;
    $("axes").replaceChildren(...(axes ?? []).slice(0, MOST_AXES).map((_, axis) => {
      const number = make("output"), slider = make("input", { type: "range", min: -3, max: 3, step: 0.05 });
      slider.addEventListener("input", () => {
        number.value = Number(slider.value).toFixed(1);
        this.axes[axis] = Number(slider.value);
        app.slideStyle([...this.axes], false);
      });
      slider.addEventListener("change", () => app.slideStyle([...this.axes], true));
      return make("label", { title: OF_TRAITS }, `Trait ${axis + 1}`, slider, number);
    }));
    this.moveSliders(axes ?? []);
  }

  moveSliders(axes) {
    this.axes = axes;
    for (const [axis, { children: [slider, number] }] of [...$("axes").children].entries()) {
      slider.value = axes[axis];
      number.value = axes[axis].toFixed(1);
    }
  }

  /** The first thumbnail, and the sliders, after a change. */
  async refreshStyle() {
    const { path, state, selection: [thing] } = this.app, { inst } = thing ?? {};
    const first = $("styles").querySelector("button");
    if ($("style-panel").hidden || inst === undefined || !first) return;
    const about = await askJson(`${path}/styles/${inst}`).catch(() => null);
    // Else it is of before what was done meanwhile.
    const isNow = state === this.app.state && !this.app.live.isBusy && !this.app.isSliding;
    if (!about || !isNow || !first.isConnected) return;
    this.moveSliders(about.axes ?? []);
    const src = await askUrl(`${path}/thumbnail`, { instance: inst }).catch(() => null);
    if (!src || !first.isConnected) return;
    first.replaceChildren(make("img", { src, alt: "", onload: () => URL.revokeObjectURL(src) }));
  }

  /** Styles of other images than the one that is open. */
  offerImages(name) {
    const options = [...$("style-image").options];
    for (const option of options) option.disabled = option.value === name;
    $("style-image").value = options.find((option) => !option.disabled)?.value ?? "";
    $("style-from").hidden = options.length < 2;
  }

  // ------------------------------------------------------------ the gallery

  /** It is cut when somebody first looks for it. */
  async openGallery() {
    if (this.gallery || !this.app.run.label_nc) return;
    this.gallery = true;
    const told = $("gallery-state");
    try {
      let state;
      while (!(state = await askJson("api/gallery")).ready) {
        if (state.message) { told.textContent = state.message; return; }
        const { done, total } = state;
        const cutting = `Cutting objects out of the data set: ${done} of ${total} images`;
        told.textContent = total ? cutting : "Looking at the data set…";
        await new Promise((resolve) => setTimeout(resolve, 700));
      }
      told.textContent = "Drag one into the picture, or click it.";
      $("gallery-field").hidden = false;
      $("gallery-label").replaceChildren(...state.labels.map(({ label, count }) =>
        make("option", { value: label, textContent: `${this.app.run.labels[label].name} (${count})` })));
      const car = state.labels.find(({ label }) => this.app.run.labels[label].name === "car");
      if (car) $("gallery-label").value = car.label;
      await this.showObjects();
    } catch (error) {
      told.textContent = error.message;
      this.gallery = false;
    }
  }

  async showObjects() {
    const label = Number($("gallery-label").value);
    const objects = await askJson(`api/gallery/${label}`);
    if (label !== Number($("gallery-label").value)) return;
    $("gallery").replaceChildren(...objects.map(({ height, width, at }, number) => {
      const image = make("img", { src: `api/gallery/${label}/${number}`, alt: "", loading: "lazy", draggable: false });
      const name = `${this.app.run.labels[label].name} ${number + 1}, ${width}×${height} pixels`;
      const button = make("button", { type: "button", title: name }, image);
      button.setAttribute("aria-label", name);
      button.dataset.number = number;
      const begin = (event) => this.app.beginPlacing({ label, number }, image, [height, width], at, event);
      button.addEventListener("pointerdown", (event) => {
        if (event.button === 0) { button.releasePointerCapture(event.pointerId); begin(event); }
      });
      button.addEventListener("click", (event) => event.detail === 0 && begin(null)); // by keyboard
      return button;
    }));
  }
}

/** Mark one of a group of buttons as chosen, by its command. */
function check(group, name) {
  for (const button of $(group).querySelectorAll("[role=radio]")) {
    button.setAttribute("aria-checked", button.dataset.command === name);
  }
}

export { $, check, make };
