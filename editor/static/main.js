// The page: what it holds, and what its parts do together.

import { Live, Refused, ask, askJson } from "./api.js";
import { Maps } from "./maps.js";
import { $, Panels, check, make } from "./panels.js";
import { Showing } from "./pictures.js";
import { Placing } from "./placing.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";
import { wire } from "./wire.js";

class App extends Showing {
  constructor(run) {
    super();
    Object.assign(this, {
      run, maps: null, images: {}, selection: [], hovered: null, trail: [], placing: null, moving: null,
      label: Math.max(0, run.labels.findIndex(({ name }) => name === "car")), colour: "#000000", isSpaceHeld: false,
      state: { undo: 0, redo: 0, version: 0 }, shownVersion: -1,
    });
    this.view = new View(this);
    this.tools = new Tools(this);
    this.panels = new Panels(this);
    this.chooseLabel(this.label);
  }

  get path() { return `api/scenes/${this.id}`; }

  // ------------------------------------------------------------ scenes

  /** Look at a scene that the server has opened. */
  enter(about) {
    this.live?.close();
    Object.assign(this, {
      id: about.id, selection: [], hovered: null, trail: [], placing: null, moving: null, images: {}, shownVersion: -1,
      sketch: null, labels: new Set(),
    });
    this.maps = new Maps(about.shape, this.run);
    this.cancelPlacing();
    if (location.hash !== `#${about.id}`) history.pushState(null, "", `#${about.id}`);
    $("images").value = about.name;
    document.title = `${about.name || "scene"} – ${this.run.name}`;
    for (const link of document.querySelectorAll("[data-file]")) {
      link.href = `${this.path}/files/${link.dataset.file}`;
      link.download = "";
    }
    this.live = new Live(`${this.path}/live`, {
      maps: (header, buffer) => this.gotMaps(header, buffer),
      image: (header, png) => this.gotImage(header, png),
      state: (state) => this.gotState(state),
      error: (message) => this.say(message),
      open: (isOpen) => this.connected(isOpen),
    });
    this.showPicture("now");
    this.view.isFitted = true;
    this.view.resize();
    this.panels.showObject();
  }

  async open(what) {
    try {
      this.enter(await what);
      return true;
    } catch (error) {
      this.say(error.message);
      $("images").value = $("images").dataset.now ?? "";
      return false;
    }
  }

  connected(isOpen) {
    if (isOpen) Object.assign(this, { shownVersion: -1, trail: [], isSliding: false });
    this.say(isOpen ? "" : "The editor's program does not answer; trying again…");
  }

  openImage(name) { return this.open(askJson("api/scenes", { name })); }

  gotMaps(header, buffer) {
    this.maps.set(header, buffer);
    if (!this.counting) this.counting = setTimeout(() => this.countLabels(), 200);
    this.selection = this.selection.filter((thing) => !("inst" in thing) || this.maps.inst.includes(thing.inst));
    if (this.waitsForSelection) this.waitsForSelection();
    this.view.redraw();
  }

  /** Which labels there are; seldom, as all pixels are looked at. */
  countLabels() {
    this.counting = null;
    this.labels = this.maps.isPicture ? new Set() : this.maps.labelsThere();
    this.panels.showLabels(this.labels, this.label);
  }

  gotState(state) {
    this.state = state;
    this.trail = this.trail.filter(({ number }) => number > state.done);
    $("undo").disabled = !state.undo;
    $("redo").disabled = !state.redo;
    $("pending").hidden = state.version <= this.shownVersion;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.panels.refreshStyle(), 400);
    this.view.redraw();
  }

  setView(mode) {
    this.view.setMode(mode);
    check("view", mode);
    $("opacity-field").hidden = mode !== "overlay";
  }

  zoomBy(factor) {
    const { at } = this.tools, box = this.view.canvases.picture.getBoundingClientRect();
    this.view.zoom(factor, at?.place.px ?? box.width / 2, at?.place.py ?? box.height / 2);
  }

  // ------------------------------------------------------------ changes

  beginStep() { this.images.before = this.images.full ?? this.images.now; }

  /** Returns whether it was done; `then` is called with the next maps. */
  async operate(operation, then) {
    this.beginStep();
    if (then) this.waitsForSelection = () => { this.waitsForSelection = null; then(); };
    return this.asking(`${this.path}/operations`, operation);
  }

  async asking(path, body) {
    try {
      await this.live.settled(); // strokes come first
      await ask(path, body);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.waitsForSelection = null;
      this.say(error.message);
      return false;
    }
  }

  step(name) {
    if (this.tools.drag?.kind === "stroke") return;
    this.beginStep();
    this.asking(`${this.path}/history/${name}`, {});
  }

  sendPiece(operation, last, colour) {
    const number = this.live.send(operation, last);
    this.trail.push({ ...operation, colour, number });
    this.view.redraw();
  }

  /** What brush and bucket lay on: a label, or a colour. */
  paint(isEraser = false) {
    if (this.maps.isPicture) return { colour: isEraser ? null : rgb(this.colour) };
    if (isEraser) return { label: null };
    const joins = $("joins").value, selected = this.selection.find((thing) => "inst" in thing);
    const instance = joins === "selected" ? selected?.inst ?? null : joins || null;
    const over = $("over").value && this.tools.draws ? [...new Set(this.selection.map((thing) => this.labelOf(thing)))] : null;
    return { label: this.label, instance, ...(over?.length ? { only_over: over } : {}) };
  }

  strokeColour(isEraser) {
    if (isEraser) return "#8888";
    return this.maps.isPicture ? this.colour : this.css(this.label);
  }

  setStyle(style) {
    const instances = this.selection.map(({ inst }) => inst).filter((id) => id !== undefined);
    if (instances.length) this.operate({ kind: "style", instances, style });
  }

  /** A slider that moves: one step of the history till it is let go. */
  slideStyle(amounts, last) {
    const instances = this.selection.map(({ inst }) => inst);
    if (!this.isSliding) this.beginStep();
    this.sketch = { kind: "style", instances, style: { amounts } };
    const send = () => {
      if (!this.sketch) return;
      this.live.send({ ...this.sketch, extend: Boolean(this.isSliding) }, last);
      this.isSliding = !last;
      this.sketch = null;
    };
    if (last) send();
    else requestAnimationFrame(send);
  }

  relabel() {
    if (this.selection.length) this.operate({ kind: "label", label: this.label, ...this.region(this.selection) }, () => this.reselect());
  }

  removeSelected() {
    if (!this.selection.length) return;
    this.operate({ kind: "remove", ...this.region(this.selection) });
    this.select([]);
  }

  // ------------------------------------------------------------ labels and colours

  chooseLabel(label) {
    this.label = label;
    this.panels?.showLabels(this.labels ?? new Set(), label);
  }

  /** Take label or colour from the scene. */
  pick({ row, column, label }) {
    if (!this.maps.isPicture) return this.chooseLabel(label);
    const [r, g, b] = this.maps.drawn.getContext("2d").getImageData(column, row, 1, 1).data;
    this.chooseColour(`#${[r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("")}`);
  }

  chooseColour(colour) {
    this.colour = $("colour").value = colour;
    const there = [...$("colours").children].map((b) => b.dataset.colour);
    if (there.includes(colour)) return;
    const button = make("button", { type: "button", title: colour, onclick: () => this.chooseColour(colour) });
    button.dataset.colour = button.style.background = colour;
    $("colours").prepend(button);
    if (there.length > 11) $("colours").lastElementChild.remove();
  }

  // ------------------------------------------------------------ placing

  /** An object of the gallery, or a copy, follows the pointer, or without one comes to `at`. */
  beginPlacing(source, image, size, at, event) {
    const { view } = this;
    this.placing = new Placing(this, source, image, size, at);
    $("placing").hidden = false;
    $("bar").hidden = true;
    view.hideCursor();
    if (event) {
      const from = [event.clientX, event.clientY];
      const follow = (moved) => {
        const canvas = document.elementsFromPoint(moved.clientX, moved.clientY).find((e) => view.paneOf(e));
        if (!canvas || Math.hypot(moved.clientX - from[0], moved.clientY - from[1]) < 6) return;
        const { x, y } = view.place(moved, canvas);
        this.placing?.centre(x, y);
      };
      const stop = () => { removeEventListener("pointermove", follow); removeEventListener("pointerup", stop); removeEventListener("pointercancel", stop); };
      addEventListener("pointermove", follow);
      addEventListener("pointerup", stop);
      addEventListener("pointercancel", stop);
    }
    view.canvases.picture.focus({ preventScroll: true });
    view.redraw();
  }

  place() {
    const { placing } = this;
    this.cancelPlacing();
    const before = new Set(this.maps.inst);
    this.operate(placing.operation($("behind").checked), () => {
      const added = this.run.has_instances && this.maps.inst.find((id) => !before.has(id));
      if (added) this.select([{ inst: added }]);
    });
  }

  cancelPlacing() {
    this.placing = null;
    $("placing").hidden = true;
    $("bar").hidden = false;
    this.view.redraw();
  }

  duplicate() {
    const [thing] = this.selection;
    if (!thing || !("inst" in thing)) return;
    const cut = this.maps.cutOut(thing, this.images.now);
    const beside = [cut.at[0], Math.min(this.maps.width - 4, cut.at[1] + Math.ceil(cut.canvas.width / 3))];
    this.beginPlacing({ instance: thing.inst }, cut.canvas, [cut.canvas.height, cut.canvas.width], beside, null);
  }

  // ------------------------------------------------------------ the page's own

  css(label) {
    const [r, g, b] = this.run.labels[label]?.colour ?? [128, 128, 128];
    return `rgb(${r} ${g} ${b})`;
  }

  setSpace(isHeld) {
    this.isSpaceHeld = isHeld;
    $("panes").classList.toggle("pans", isHeld);
  }

  toolChanged() {
    const { tools } = this;
    if (!tools) return;
    check("tool", tools.name);
    $("hint").value = HINTS[tools.name] ?? "";
    $("brush-fields").hidden = !(tools.draws || tools.name === "fill");
    for (const id of ["size", "over-field", "pressure-field"]) (id === "size" ? $(id).parentElement : $(id)).hidden = !tools.draws || (id === "over-field" && this.maps?.isPicture);
    $("joins-field").hidden = tools.name === "eraser" || !this.run.has_instances || !this.run.label_nc;
    if (tools.name === "eraser" || !this.run.label_nc) $("over-field").hidden = true;
    if (tools.draws) {
      $("size").value = tools.width;
      $("size-shown").value = `${tools.width} px`;
    }
  }

  say(message) {
    if (!message) return $("messages").replaceChildren();
    for (const line of $("messages").children) if (line.textContent === message) line.remove();
    for (const line of [...$("messages").children].slice(0, -2)) line.remove();
    const line = make("p", { textContent: message });
    $("messages").append(line);
    setTimeout(() => line.remove(), 8000);
  }
}

const HINTS = {
  select: "Click an object; shift-click adds one",
  move: "Drag an object; what is around fills its place",
  remove: "Click an object; what is around fills its place",
};
const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

async function enterFromAddress(app) {
  const id = location.hash.slice(1);
  if (id === app.id) return;
  if (id) {
    try {
      return app.enter(await askJson(`api/scenes/${encodeURIComponent(id)}`));
    } catch (error) {
      app.say(error.message);
    }
  }
  if (app.run.images.length) await app.openImage(app.run.images[0]);
  else app.say("There is no image of the data set to open; open a file of your own.");
}

try {
  const app = globalThis.editor = new App(await askJson("api/run"));
  wire(app, enterFromAddress);
  await enterFromAddress(app);
} catch (error) {
  document.body.append(make("p", { className: "problem", textContent: error.message }));
  throw error;
}
