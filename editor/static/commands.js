// What keys and buttons do. Keys, the buttons' clicks and tooltips, and the list under "?" come from here.

import { $ } from "./panels.js";

export const ARROWS = { "←": [-1, 0], "→": [1, 0], "↑": [0, -1], "↓": [0, 1] };
const STEP = 10; // pixels, of an arrow with Shift
const plain = Object.keys(ARROWS), shifted = plain.map((key) => `Shift-${key}`);

const arrow = (key) => ARROWS[key.at(-1)].map((way) => way * (key.startsWith("Shift") ? STEP : 1));
const tool = (name, key, what) => ({ name, keys: [key], what, run: ({ tools }) => tools.choose(name) });
const view = (name, key, what) => ({ name, keys: [key], what, run: (app) => app.setView(name) });

/** Headings, and a row for each command.
 *  name: of its buttons (data-command); what: tooltip and list; keys: as they are listed, `also`: others.
 *  run(app, event, key); of a key that is held, `press` and `release`.
 *  during: "placing", "drag", "always"; else while nothing of that is under way.
 *  isOnPicture: not where a button has the focus, which takes such a key itself. */
export const COMMANDS = {
  Tools: [
    tool("select", "V", "Select objects"),
    tool("move", "M", "Move objects"),
    tool("brush", "B", "Brush"),
    tool("eraser", "E", "Eraser: what is around takes the place"),
    { name: "narrower", keys: ["["], what: "Smaller brush or eraser", run: ({ tools }) => tools.larger(-1) },
    { name: "wider", keys: ["]"], what: "Larger brush or eraser", run: ({ tools }) => tools.larger(1) },
    tool("fill", "G", "Fill a region"),
    tool("remove", "X", "Remove objects by click"),
    { name: "takeBack", keys: ["Esc"], what: "Take back the stroke under way", during: "drag",
      run: ({ tools }) => tools.abandon() },
  ],
  Objects: [
    { name: "relabel", keys: ["L"], what: "Make the selected object what is chosen among the labels, and join it",
      run: (app) => app.relabel() },
    { name: "relabelNew", keys: ["N"], what: "Make it such an object of its own", run: (app) => app.relabel("new") },
    { name: "duplicate", keys: ["C"], what: "Bring a copy of it into place", run: (app) => app.duplicate() },
    { name: "delete", keys: ["Delete"], also: ["Backspace"], what: "Remove it", run: (app) => app.removeSelected() },
    { name: "unselect", keys: ["Esc"], what: "Select nothing, close the menu", run: (app) => app.escape() },
    { name: "search", keys: ["/"], what: "Find a label", run: () => $("search").focus() },
  ],
  "An object on its way": [
    { name: "shift", keys: plain, also: shifted, what: "Move it; with Shift by 10", during: "placing",
      run: ({ placing }, _, key) => placing.shift(...arrow(key)) },
    { name: "larger", keys: ["+"], also: ["="], what: "Larger", during: "placing",
      run: ({ placing }) => placing.resize(1.1) },
    { name: "smaller", keys: ["−"], what: "Smaller", during: "placing",
      run: ({ placing }) => placing.resize(1 / 1.1) },
    { name: "mirror", keys: ["H"], what: "Mirror it", during: "placing", run: ({ placing }) => placing.mirror() },
    { name: "behind", keys: ["F"], what: "Put it behind other objects", during: "placing",
      run: () => $("behind").click() },
    { name: "place", keys: ["Enter"], what: "Place it", during: "placing", isOnPicture: true,
      run: (app) => app.place() },
    { name: "cancel", keys: ["Esc"], what: "Leave it", during: "placing", run: (app) => app.cancelPlacing() },
  ],
  View: [
    view("side", "1", "Picture and label map side by side"),
    view("overlay", "2", "Labels laid over the picture"),
    view("slider", "3", "A slider between them"),
    { name: "now", keys: [], what: "The picture as it is", run: (app) => app.showPicture("now") },
    { name: "start", keys: ["A"], what: "The picture at the start, as long as it is held",
      run: (app) => app.showPicture("start"), press: (app) => app.peek(true), release: (app) => app.peek(false) },
    { name: "difference", keys: ["D"], what: "How far the last step reaches",
      run: (app) => app.showPicture(app.view.picture === "difference" ? "now" : "difference") },
    { name: "nearer", keys: ["+"], also: ["="], what: "Zoom in", run: (app) => app.zoomBy(1.25) },
    { name: "farther", keys: ["−"], what: "Zoom out", run: (app) => app.zoomBy(1 / 1.25) },
    { name: "fit", keys: ["0"], what: "Show all of it", run: (app) => app.view.fit() },
    { name: "pan", keys: ["Space"], what: "Held: drag moves the view", isOnPicture: true,
      press: (app) => app.setSpace(true), release: (app) => app.setSpace(false) },
  ],
  "Steps and files": [
    { name: "undo", keys: ["Ctrl-Z"], what: "Undo", during: "always", run: (app) => app.step("undo") },
    { name: "redo", keys: ["Ctrl-Shift-Z", "Ctrl-Y"], what: "Redo", during: "always",
      run: (app) => app.step("redo") },
    { name: "reset", keys: [], what: "Back to the start; can be undone", run: (app) => app.step("reset") },
    { name: "open", keys: [], what: "Open your own label map, or a scene that you saved",
      run: (app) => app.openFile() },
    { name: "save", keys: ["Ctrl-S"], what: "Save the scene, to go on with it later", during: "always",
      run: () => document.querySelector("[data-file=scene]").click() },
    { name: "help", keys: ["?"], what: "This list", run: () => $("shortcuts").showModal() },
  ],
  "Without a mouse": [
    { name: "lead", keys: plain, also: shifted, what: "Lead the pointer; with Shift by 10", isOnPicture: true,
      run: ({ tools }, _, key) => tools.steer(...arrow(key)) },
    { name: "click", keys: ["Enter"], also: ["Shift-Enter", "Alt-Enter"], what: "Click there, also with Shift or Alt",
      isOnPicture: true, run: ({ tools }, event) => tools.click(event) },
  ],
};

/** What the pointer does; tools.js does it. */
export const GESTURES = [
  [["Shift-click"], "Select: one more; brush, eraser: a straight line from the last stroke's end"],
  [["Alt-click"], "Brush, bucket: take label or colour from the scene"],
  [["Wheel"], "Brush, eraser: their size; with other tools, zoom"],
  [["Ctrl-wheel", "two fingers"], "Zoom to the pointer"],
  [["middle button", "two fingers"], "Move the view"],
];

export const ALL = Object.values(COMMANDS).flat();
