// What a scene's changes begin with: operations, labels and colours, objects on their way into place.

import { Refused, askJson } from "./api.js";
import { $, make } from "./panels.js";
import { Showing } from "./pictures.js";
import { Placing } from "./placing.js";

const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

export class Changing extends Showing {
  // ------------------------------------------------------------ changes

  /** What is done is to be seen. */
  beginStep() { if (this.view.picture === "start") this.showPicture("now"); }

  /** Returns whether it was done; `then` is called with the state that is answered, once its maps are here,
   *  unless something else is selected. */
  async operate(operation, then) {
    const isOfRegion = "at" in operation && ["label", "move", "remove"].includes(operation.kind);
    if (isOfRegion && (this.awaited.length || this.live.isBusy)) {
      this.say("The change before is still under way: look what is there, and try again.");
      return false;
    }
    this.beginStep();
    const { selection } = this;
    const own = { version: Infinity, then: () => state && selection === this.selection && then?.(state) };
    this.awaited.push(own);
    const state = await this.during("Working…", this.asking(`${this.path}/operations`, operation));
    own.version = state?.version ?? 0;
    this.catchUp();
    return Boolean(state);
  }

  /** Do what waited for the maps that are here now; what is selected and not there any more, is no longer. */
  catchUp() {
    const isDue = ({ version }) => version <= this.state.version;
    const due = this.awaited.filter(isDue);
    this.awaited = this.awaited.filter((each) => !isDue(each));
    due.forEach(({ then }) => then());
    const isHere = (thing) => !("inst" in thing) || this.maps.inst.includes(thing.inst);
    if (!this.awaited.length && !this.selection.every(isHere)) this.select(this.selection.filter(isHere));
  }

  /** Returns the state that is answered, or null if it was refused. */
  async asking(path, body) {
    const { live } = this;
    try {
      return await live.inTurn(() => askJson(path, body));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (live === this.live) this.say(error.message);
      return null;
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
    return number;
  }

  takeBack() {
    this.live.send(null);
    this.trail = [];
  }

  /** Of a message of the WebSocket; a stroke ends with it, or a version has no picture. */
  refused(message, number, version) {
    this.say(message);
    this.shownVersion = Math.max(this.shownVersion, version);
    this.showPending();
    if (this.tools.drag?.first <= number) this.tools.drop();
  }

  /** The label that brush and bucket lay on: of the selected object, if that is what they paint. */
  get laid() {
    const selected = this.joinsSelected && this.selection.find((thing) => "inst" in thing);
    return selected ? this.labelOf(selected) : this.label;
  }

  get joinsSelected() { return this.run.has_instances && $("joins").value === "selected"; }

  /** What brush and bucket lay on: a label, or a colour; nothing, with the reason told, if that is not there. */
  paint(isEraser = false) {
    if (this.maps.isPicture) return { colour: isEraser ? null : rgb(this.colour) };
    if (isEraser) return { label: null };
    const isOver = $("over").value && this.tools.draws;
    if (!this.selection.length && (isOver || this.joinsSelected)) {
      const otherwise = isOver ? "over everything" : "a new one";
      return void this.say(`Nothing is selected: select an object, or paint ${otherwise}.`);
    }
    const instance = this.joinsSelected ? this.selection[0].inst : $("joins").value || null;
    const over = [...new Set(this.selection.map((thing) => this.labelOf(thing)))];
    return { label: this.laid, instance, ...(isOver ? { only_over: over } : {}) };
  }

  strokeColour(isEraser) {
    if (isEraser) return "#8888";
    return this.run.label_nc ? this.css(this.laid) : this.colour;
  }

  css(label) {
    const [r, g, b] = this.run.labels[label]?.colour ?? [128, 128, 128];
    return `rgb(${r} ${g} ${b})`;
  }

  /** On the cursor and beside the brush's fields, what it paints; and whether the selected can become it. */
  showPaint() {
    if (!this.panels) return;
    $("cursor").style.borderColor = this.tools.name === "brush" ? this.strokeColour(false) : "";
    if (!this.run.label_nc) return;
    const name = (label) => this.run.labels[label]?.name ?? "";
    const laid = this.panels.swatch(this.laid);
    $("laid").replaceChildren("Paint ", laid, make("b", { textContent: name(this.laid) }));
    $("chosen-name").textContent = $("fills").lastElementChild.textContent = name(this.label);
    const isIt = this.selection.every((thing) => this.labelOf(thing) === this.label);
    for (const name of ["relabel", "relabelNew"]) {
      document.querySelector(`[data-command=${name}]`).disabled = isIt;
    }
  }

  setStyle(style) {
    const instances = this.selection.map(({ inst }) => inst).filter((id) => id !== undefined);
    if (instances.length) this.operate({ kind: "style", instances, style });
  }

  /** A slider that moves: one step of the history till it is let go. */
  slideStyle(amounts, last) {
    const instances = this.selection.map(({ inst }) => inst);
    if (!instances.length) return void (this.isSliding = false); // it went while the slider was held
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

  /** instance: "new", or null to join what they adjoin. */
  relabel(instance = null) {
    if (this.selection.every((thing) => this.labelOf(thing) === this.label)) return;
    const operation = { kind: "label", label: this.label, instance, ...this.region(this.selection) };
    const spots = this.spotsOf(this.selection);
    this.operate(operation, () => this.reselect(spots));
  }

  moveSelected([rows, columns]) {
    const spots = this.spotsOf(this.selection).map(([row, column]) => [row + rows, column + columns]);
    const operation = { kind: "move", by: [rows, columns], fill: this.filling, ...this.region(this.selection) };
    this.operate(operation, () => this.run.has_instances || this.reselect(spots));
  }

  /** Close the menu, or else select nothing. */
  escape() {
    if ($("downloads").open) $("downloads").open = false;
    else this.select([]);
  }

  removeSelected() {
    if (!this.selection.length) return;
    this.remove(this.selection);
    this.select([]);
  }

  remove(things) { this.operate({ kind: "remove", fill: this.filling, ...this.region(things) }); }

  /** The label for the place that an object leaves, if the tool has that choice; null: what is around. */
  get filling() { return this.tools.leavesPlace && $("fills").value ? this.label : null; }

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
    this.showPaint();
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
    if (this.tools.drag) return;
    this.showPlacing(new Placing(this, source, image, size, at));
    view.hideCursor();
    if (event) {
      const from = [event.clientX, event.clientY];
      const follow = (moved) => {
        const canvas = document.elementsFromPoint(moved.clientX, moved.clientY).find((e) => view.paneOf(e));
        if (!canvas || Math.hypot(moved.clientX - from[0], moved.clientY - from[1]) < 6) return;
        const { x, y } = view.place(moved, canvas);
        this.placing?.centre(x, y);
      };
      const ending = new AbortController(), { signal } = ending;
      addEventListener("pointermove", follow, { signal });
      for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => ending.abort(), { signal });
    }
    view.canvases.picture.focus({ preventScroll: true });
    view.redraw();
  }

  async place() {
    const { placing, id } = this;
    if (!placing.isInside) return this.say("It is outside of the picture: drag it in, or leave it with Escape.");
    this.cancelPlacing();
    const isDone = await this.operate(placing.operation($("behind").checked), ({ instance }) => {
      if (this.run.has_instances && instance !== null) this.select([{ inst: instance }]);
    });
    if (!isDone && id === this.id && !this.placing) this.showPlacing(placing); // to be put elsewhere
  }

  showPlacing(placing) {
    this.placing = placing;
    $("placing").hidden = !placing;
    $("bar").hidden = Boolean(placing);
    this.view.redraw();
  }

  cancelPlacing() { this.showPlacing(null); }

  duplicate() {
    const [thing] = this.selection;
    if (!thing || !("inst" in thing)) return;
    const cut = this.maps.cutOut(thing, this.images.now);
    const beside = [cut.at[0], Math.min(this.maps.width - 4, cut.at[1] + Math.ceil(cut.canvas.width / 3))];
    this.beginPlacing({ instance: thing.inst }, cut.canvas, [cut.canvas.height, cut.canvas.width], beside, null);
  }
}
