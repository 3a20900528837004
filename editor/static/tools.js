// Pointers on the panes, and the tools that they hold.

const PRESSURE_LEAST = 0.15; // of the brush's size, of a pen that hardly touches
const MOST_POINTS = 500; // of a piece of a stroke
const RESTS = 5; // CSS pixels that a finger may tremble
const NEAR = 14; // CSS pixels around the slider's divider

const panes = document.getElementById("panes");

export class Tools {
  constructor(app) {
    this.app = app;
    Object.assign(this, { name: "select", sizes: { brush: 16, eraser: 16 }, turned: 0 });
    Object.assign(this, { fingers: new Map(), drag: null, last: null });
    for (const canvas of Object.values(app.view.canvases)) {
      const on = (name, call) => canvas.addEventListener(name, (event) => app.maps && call(event), { passive: false });
      on("pointerdown", (event) => this.down(event, canvas));
      on("pointermove", (event) => this.move(event, canvas));
      for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.up(event, canvas));
      on("pointerleave", () => this.leave());
      on("wheel", (event) => this.wheel(event, canvas));
      on("contextmenu", (event) => event.preventDefault());
      on("auxclick", (event) => event.preventDefault());
    }
    this.choose("select");
  }

  get draws() { return this.name === "brush" || this.name === "eraser"; }
  get leavesPlace() { return this.name === "move" || this.name === "remove"; }
  get width() { return this.draws ? this.sizes[this.name] : 0; }

  choose(name) {
    if (this.drag) return; // a stroke is of one tool
    this.name = name;
    panes.classList.toggle("draws", this.draws);
    panes.classList.toggle("points", !this.draws);
    if (!this.draws) this.app.view.hideCursor();
    this.app.toolChanged();
  }

  /** Brush and eraser have sizes of their own. */
  resize(width) {
    if (!this.draws || this.drag?.kind === "stroke") return;
    this.sizes[this.name] = Math.min(400, Math.max(1, Math.round(width)));
    this.app.toolChanged();
    if (this.at) this.app.view.showCursor(this.at.canvas, this.at.place, this.width);
  }

  larger(steps) {
    const [limit, least] = steps > 0 ? [Math.max, 1] : [Math.min, -1];
    this.resize(limit(this.width + least, this.width * 1.15 ** steps));
  }

  wheel(event, canvas) {
    event.preventDefault();
    const place = this.app.view.place(event, canvas), isOverPlaced = this.app.placing?.holds(place);
    // A wheel turns by notches, a trackpad by pixels.
    const steps = -(event.deltaY || event.deltaX) * (event.deltaMode ? 1 / 3 : 1 / 100);
    if (isOverPlaced && !event.ctrlKey) this.app.placing.resize(1.08 ** steps);
    else if (this.draws && !event.ctrlKey && !event.metaKey) {
      this.turned += steps;
      const whole = Math.trunc(this.turned);
      this.turned -= whole;
      if (whole) this.larger(whole);
    } else this.app.view.zoom(event.ctrlKey ? Math.exp(-event.deltaY / 200) : 1.2 ** steps, place.px, place.py);
  }

  down(event, canvas) {
    const { app } = this, { view } = app, place = view.place(event, canvas);
    panes.classList.remove("steered");
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    this.at = { canvas, place };
    if (event.pointerType === "pen") document.getElementById("pressure-field").hidden = false;
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, place);
      if (this.fingers.size > 1) return this.pinch();
    }
    if (event.button === 1 || app.isSpaceHeld) this.drag = { kind: "pan", place };
    else if (event.button > 0) return;
    else if (app.placing) this.drag = app.placing.grab(place) ?? (app.place(), null);
    else if (view.mode === "slider" && Math.abs(place.px - view.dividerAt()) < NEAR) this.drag = { kind: "divider" };
    else if (event.pointerType === "touch") this.resting = { place, event };
    else this.begin(place, event);
  }

  /** A second finger: the first one meant no stroke, if it rested. */
  pinch() {
    this.resting = null;
    if (this.drag?.kind === "stroke") this.finish();
    this.app.moving = null;
    this.drag = { kind: "pinch", ...this.grip() };
  }

  /** A finger that rested moves, or leaves: it was no part of a gesture. */
  settle() {
    const { place, event } = this.resting;
    this.resting = null;
    this.begin(place, event);
  }

  grip() {
    const [a, b] = [...this.fingers.values()];
    return { x: (a.px + b.px) / 2, y: (a.py + b.py) / 2, span: Math.max(10, Math.hypot(a.px - b.px, a.py - b.py)) };
  }

  begin(place, event) {
    const { app } = this, found = app.maps.at(place.x, place.y);
    if (!app.maps.version) return; // the picture may be here before the maps
    const thing = found && app.thingAt(found);
    if (this.draws) {
      if (event.altKey && found) return app.pick(found);
      return this.beginStroke(place, event);
    }
    if (!found) {
      if (this.name === "select" && !event.shiftKey) app.select([]);
      return;
    }
    const at = [found.row, found.column];
    if (this.name === "fill") {
      if (event.altKey) return app.pick(found);
      const paint = app.paint();
      if (paint) app.operate({ kind: "fill", at, ...paint });
    } else if (this.name === "remove") {
      app.remove([thing]);
      app.select([]);
    } else if (app.maps.isPicture) {
      return;
    } else if (this.name === "select") {
      app.select(event.shiftKey ? app.toggled(thing) : [thing]);
    } else if (this.name === "move") {
      if (!app.isSelected(thing)) app.select([thing]);
      this.drag = { kind: "move", place };
      app.moving = { by: [0, 0] };
    }
  }

  move(event, canvas) {
    const { app } = this, { view } = app, place = view.place(event, canvas);
    view.showCursor(canvas, place, this.width && !app.placing ? this.width * this.pressed(event) : 0);
    this.at = { canvas, place };
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, place);
    const from = this.resting?.place;
    if (from && Math.hypot(place.px - from.px, place.py - from.py) > RESTS) this.settle();
    const { drag } = this;
    if (!drag) {
      if (event.pointerType !== "touch") app.hover(app.maps.at(place.x, place.y));
    } else if (drag.kind === "stroke") {
      // What the pointer did between two events too, or fast strokes are made of corners.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.extend(view.place(each, canvas), each);
    } else if (drag.kind === "pan") {
      view.pan(place.px - drag.place.px, place.py - drag.place.py);
      drag.place = place;
    } else if (drag.kind === "pinch" && this.fingers.size > 1) {
      const grip = this.grip();
      view.pan(grip.x - drag.x, grip.y - drag.y);
      view.zoom(grip.span / drag.span, grip.x, grip.y);
      Object.assign(drag, grip);
    } else if (drag.kind === "divider") {
      view.divider = Math.min(1, Math.max(0, place.px / canvas.getBoundingClientRect().width));
      view.redraw();
    } else if (drag.kind === "move") {
      app.moving = { by: [Math.round(place.y - drag.place.y), Math.round(place.x - drag.place.x)] };
      view.redraw();
    } else if (drag.kind === "placed") {
      app.placing.drag(drag, place);
    }
  }

  up(event, canvas) {
    if (this.resting) this.settle();
    const { app, drag } = this;
    this.fingers.delete(event.pointerId);
    if (drag?.kind === "pinch" && this.fingers.size) return;
    if (drag?.kind === "stroke") this.finish();
    if (drag?.kind === "move") {
      const { by } = app.moving;
      app.moving = null;
      if (by[0] || by[1]) app.moveSelected(by);
      app.view.redraw();
    }
    this.drag = null;
    app.view.redraw();
    if (event.pointerType === "touch") app.view.hideCursor();
  }

  leave() {
    if (this.drag) return;
    this.app.view.hideCursor();
    this.app.hover(null);
  }

  // ------------------------------------------------------------ strokes

  pressed(event) {
    const isPen = event.pointerType === "pen" && document.getElementById("pressure").checked;
    return isPen && event.pressure ? PRESSURE_LEAST + (1 - PRESSURE_LEAST) * event.pressure : 1;
  }

  /** A point as the server has it: row and column, whole numbers in the middles of pixels. */
  pointOf({ x, y }) { return [y - 0.5, x - 0.5]; }

  beginStroke(place, event) {
    const points = [], widths = [];
    if (event.shiftKey && this.last) {
      points.push(this.last); // a straight line from where the last stroke ended
      widths.push(this.width);
    }
    points.push(this.pointOf(place));
    widths.push(this.width * this.pressed(event));
    if (this.app.live.isAway) return this.app.say("The editor's program does not answer; a stroke would be lost.");
    const isEraser = this.name === "eraser", paint = this.app.paint(isEraser);
    if (!paint) return;
    const colour = this.app.strokeColour(isEraser);
    this.drag = { kind: "stroke", points, widths, paint, colour, isSent: false };
    this.app.hovered = null;
    this.app.beginStep();
    this.flush(false);
  }

  extend(place, event) {
    const { drag } = this;
    drag.points.push(this.pointOf(place));
    drag.widths.push(this.width * this.pressed(event));
    if (!drag.isAsked) {
      drag.isAsked = true;
      requestAnimationFrame(() => { drag.isAsked = false; if (!drag.isOver) this.flush(false, drag); });
    }
  }

  /** The stroke was refused, or nobody is there to take more of it. */
  drop() {
    if (this.drag?.kind !== "stroke") return;
    this.drag.isOver = true;
    this.drag = null;
  }

  /** The page goes to another scene. */
  restart() {
    this.drop();
    this.drag = this.resting = this.last = null;
  }

  /** Leave what the pointer is doing, as if it had not begun. */
  abandon() {
    const { app } = this;
    if (this.drag?.kind === "stroke") app.takeBack();
    this.drop();
    this.drag = this.resting = app.moving = null;
    app.view.redraw();
  }

  finish() {
    const { drag } = this;
    drag.isOver = true;
    this.last = drag.points.at(-1);
    this.flush(true, drag);
  }

  /** Send the points since the last time, and the one before them, which they are joined to. */
  flush(last, drag = this.drag) {
    while (drag.points.length > MOST_POINTS) this.sendPiece(drag, MOST_POINTS, false);
    if (last || !drag.isSent || drag.points.length > 1) this.sendPiece(drag, drag.points.length, last);
  }

  sendPiece(drag, count, last) {
    const points = drag.points.slice(0, count), widths = drag.widths.slice(0, count);
    const isEven = widths.every((width) => width === widths[0]);
    const operation = {
      kind: "stroke", points, widths: isEven ? [widths[0]] : widths, extend: drag.isSent, ...drag.paint,
    };
    const number = this.app.sendPiece(operation, last, drag.colour);
    drag.first ??= number;
    drag.isSent = true;
    drag.points.splice(0, count - 1);
    drag.widths.splice(0, count - 1);
  }

  // ------------------------------------------------------------ without a pointer

  /** Arrow keys lead a pointer over the scene; Enter is a click. */
  steer(dx, dy) {
    const { view } = this.app, canvas = view.paneOf(document.activeElement) ?? view.canvases.picture;
    const box = canvas.getBoundingClientRect();
    const from = this.at?.canvas === canvas ? this.at.place : view.placeOf(box.width / 2, box.height / 2);
    const px = Math.min(box.width, Math.max(0, from.px + dx * Math.max(1, view.scale)));
    const py = Math.min(box.height, Math.max(0, from.py + dy * Math.max(1, view.scale)));
    this.at = { canvas, place: view.placeOf(px, py) };
    canvas.focus({ preventScroll: true });
    panes.classList.add("steered");
    view.showCursor(canvas, this.at.place, this.width || 9 / view.scale);
    this.app.hover(this.app.maps.at(this.at.place.x, this.at.place.y));
  }

  click(event) {
    const { view } = this.app;
    if (!this.at) return this.steer(0, 0);
    this.at.place = view.placeOf(this.at.place.px, this.at.place.py);
    this.begin(this.at.place, { shiftKey: event.shiftKey, altKey: event.altKey });
    if (this.drag?.kind === "stroke") this.finish();
    this.app.moving = null;
    this.drag = null;
  }
}
