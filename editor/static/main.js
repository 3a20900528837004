// The page: what it holds, and what its parts do together.

import { Live, askJson } from "./api.js";
import { Changing } from "./changes.js";
import { Maps } from "./maps.js";
import { say } from "./messages.js";
import { $, Panels, check, make } from "./panels.js";
import { savings } from "./saving.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";
import { wire } from "./wire.js";

class App extends Changing {
  constructor(run) {
    super();
    Object.assign(this, {
      run, maps: null, images: {}, selection: [], hovered: null, trail: [], placing: null, moving: null,
      label: Math.max(0, run.labels.findIndex(({ name }) => name === "car")), colour: "#000000", isSpaceHeld: false,
      state: { undo: 0, redo: 0, version: 0 }, shownVersion: -1, doing: [],
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
    this.tools.restart();
    say("", { key: "connection" });
    Object.assign(this, {
      id: about.id, selection: [], hovered: null, trail: [], placing: null, moving: null, images: {}, shownVersion: -1,
      sketch: null, labels: new Set(), state: { undo: 0, redo: 0, version: 0 }, awaited: [], hoveredRegion: null,
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
    this.name = about.name;
    this.panels.offerImages(about.name);
    this.live = new Live(this.path, {
      maps: (header, buffer) => this.gotMaps(header, buffer),
      image: (header, bitmap) => this.gotImage(header, bitmap),
      state: (state) => this.gotState(state),
      error: (message, number, version) => this.refused(message, number, version),
      open: (isOpen) => this.connected(isOpen),
      gone: (message) => {
        const buttons = savings(this.maps, this.name);
        say(`${message}. What this page shows can be saved: `, { key: "connection", buttons });
      },
    });
    this.showPicture("now");
    this.view.isFitted = true;
    this.view.resize();
    this.panels.showObject();
  }

  /** Enter a scene once it is there, unless another was asked for meanwhile. Throws Refused. */
  async open(what) {
    const opening = this.opening = Symbol();
    try {
      const about = await this.during("Opening…", what);
      if (opening === this.opening) this.enter(about);
    } catch (error) {
      if (opening === this.opening) throw error;
    }
  }

  async openImage(name) {
    try {
      await this.open(askJson("api/scenes", { name }));
    } catch (error) {
      this.say(error.message);
      $("images").value = this.name ?? "";
    }
  }

  connected(isOpen) {
    if (isOpen) Object.assign(this, { shownVersion: -1, trail: [], awaited: [], isSliding: false, had: this.state });
    else this.tools.drop();
    say(isOpen ? "" : "The editor's program does not answer; trying again…", { key: "connection" });
  }

  gotMaps(header, buffer) {
    this.maps.set(header, buffer);
    if (!this.counting) this.counting = setTimeout(() => this.countLabels(), 200);
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
    this.catchUp();
    const { had } = this; // before the connection was lost
    if (had && state.version < had.version && (state.undo !== had.undo || state.redo !== had.redo)) {
      say("The program was started anew, and what was done in its last seconds is lost: look before you go on.");
    }
    this.had = null;
    this.trail = this.trail.filter(({ number }) => number > state.done);
    $("undo").disabled = !state.undo;
    $("redo").disabled = !state.redo;
    this.showPending();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.panels.refreshStyle(), 400);
    this.view.redraw();
  }

  setView(mode) {
    this.view.setMode(mode);
    check("views", mode);
    $("opacity-field").hidden = mode !== "overlay";
  }

  zoomBy(factor) {
    const { at } = this.tools, box = this.view.canvases.picture.getBoundingClientRect();
    this.view.zoom(factor, at?.place.px ?? box.width / 2, at?.place.py ?? box.height / 2);
  }

  // ------------------------------------------------------------ the page's own

  openFile() {
    $("file-form").reset();
    $("file-problem").textContent = "";
    $("file-dialog").showModal();
  }

  setSpace(isHeld) {
    this.isSpaceHeld = isHeld;
    $("panes").classList.toggle("pans", isHeld);
  }

  toolChanged() {
    const { tools } = this;
    if (!tools) return;
    check("tools", tools.name);
    $("hint").value = HINTS[tools.name] ?? "";
    const { label_nc, has_instances } = this.run, used = FIELDS[tools.name] ?? [];
    $("tool-fields").hidden = !used.length;
    const fits = {
      "size-field": true, laid: label_nc, "joins-field": label_nc && has_instances, "over-field": label_nc,
      "fills-field": label_nc,
    };
    for (const [id, isOfRun] of Object.entries(fits)) $(id).hidden = !isOfRun || !used.includes(id);
    this.showPaint();
    if (tools.draws) {
      $("size").value = tools.width;
      $("size-shown").value = `${tools.width} px`;
    }
  }

  say(message) { say(message); }
}

const FIELDS = { // of the bar, by tool
  brush: ["size-field", "laid", "joins-field", "over-field"], eraser: ["size-field"], fill: ["laid", "joins-field"],
  move: ["fills-field"], remove: ["fills-field"],
};
const HINTS = {
  select: "Click an object; shift-click adds one",
  move: "Drag an object",
  remove: "Click an object",
};

async function enterFromAddress(app) {
  const id = location.hash.slice(1);
  app.opening = null;
  if (id === app.id) return void ($("images").value = app.name ?? "");
  if (id) {
    try {
      return await app.open(askJson(`api/scenes/${encodeURIComponent(id)}`));
    } catch (error) {
      const buttons = { "✕": () => say("", { key: "address" }) };
      say(`This address leads nowhere: ${error.message}`, { key: "address", buttons });
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
