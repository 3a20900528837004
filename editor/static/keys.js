// Keyboard shortcuts, and the list of them.

const TOOLS = { v: "select", m: "move", b: "brush", e: "eraser", g: "fill", x: "remove" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export const SHORTCUTS = [
  ["V M", "select, move"], ["Click, Shift-click", "select an object, add one"],
  ["B E", "brush, eraser"], ["Shift-click", "a straight line from the last stroke's end"],
  ["G X", "fill a region, remove an object"], ["[ ] or wheel", "size of brush or eraser"],
  ["Ctrl-Z", "undo"], ["Ctrl-wheel, pinch", "zoom to the pointer; with other tools, the wheel"],
  ["Ctrl-Shift-Z, Ctrl-Y", "redo"], ["Space-drag, middle button", "move the view; two fingers do, too"],
  ["L", "make the selected object what is chosen"], ["+ − 0", "zoom in and out, show all"],
  ["C", "place a copy of it"], ["1 2 3", "side by side, overlay, slider"],
  ["Delete", "remove it"], ["D", "how far the last step reaches"],
  ["H F", "while placing: mirror it, put it behind"], ["Enter Esc", "while placing: place it, leave it"],
  ["Esc", "take back the stroke under way; select nothing"], ["hold A", "the picture at the start"],
  ["Alt-click", "take label or colour from the scene"], ["/", "find a label"],
  ["arrows, Shift-arrows", "lead the pointer, by 1 or 10 pixels"], ["Enter", "click there"],
  ["Ctrl-S", "save the scene"], ["?", "this list"],
];

/** Whether a key is for the element that has the focus. */
function isForField(event) {
  const { target } = event;
  return target.closest("dialog") || target.matches("select, textarea, input:not([type=range], [type=checkbox], [type=color])");
}

export function listenToKeys(app) {
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") app.setSpace(false);
    if (event.key.toLowerCase() === "a" && app.pictureBefore) {
      app.showPicture(app.pictureBefore);
      app.pictureBefore = null;
    }
  });
  addEventListener("blur", () => app.setSpace(false));
  document.addEventListener("keydown", (event) => {
    if (isForField(event) || !app.maps) return;
    if (press(app, event)) event.preventDefault();
  });
}

/** Returns whether the key meant something. */
function press(app, event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const { tools, view, placing } = app, downloads = document.getElementById("downloads"), onControl = event.target.matches("button, input, a, summary");
  if (tools.drag && !event.ctrlKey && !event.metaKey) {
    if (key === "Escape") tools.abandon();
    return true;
  }
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") app.step(event.shiftKey ? "redo" : "undo");
    else if (key === "y") app.step("redo");
    else if (key === "s") document.querySelector("[data-file=scene]").click();
    else return false;
    return true;
  }
  if (event.altKey && key !== "Enter") return false;
  if (placing) {
    const [dx, dy] = ARROWS[key] ?? [0, 0], step = event.shiftKey ? 10 : 1;
    if (dx || dy) { placing.column += dx * step; placing.row += dy * step; view.redraw(); }
    else if (key === "+" || key === "=") placing.resize(1.1);
    else if (key === "-") placing.resize(1 / 1.1);
    else if (key === "h") placing.mirror();
    else if (key === "f") document.getElementById("behind").click();
    else if (key === "Enter" && !event.target.closest("#placing")) app.place();
    else if (key === "Escape") app.cancelPlacing();
    else return false;
    return true;
  }
  if (key === " " && !onControl) app.setSpace(true);
  else if (key === "a") { if (!event.repeat) { app.pictureBefore = view.picture; app.showPicture("start"); } }
  else if (ARROWS[key] && (!onControl || event.target.matches("#tools button"))) tools.steer(...ARROWS[key].map((d) => d * (event.shiftKey ? 10 : 1)));
  else if (key === "Enter" && !onControl) tools.click(event);
  else if (TOOLS[key] && !document.querySelector(`[data-tool=${TOOLS[key]}]`).hidden) tools.choose(TOOLS[key]);
  else if (key === "[" || key === "]") tools.larger(key === "]" ? 1 : -1);
  else if (key === "+" || key === "=" || key === "-") app.zoomBy(key === "-" ? 1 / 1.25 : 1.25);
  else if (key === "0") view.fit();
  else if ("123".includes(key)) app.setView(["side", "overlay", "slider"][key - 1]);
  else if (key === "d") app.showPicture(view.picture === "difference" ? "now" : "difference");
  else if (key === "l") app.relabel();
  else if (key === "c") app.duplicate();
  else if (key === "Delete" || key === "Backspace") app.removeSelected();
  else if (key === "Escape" && downloads.open) downloads.open = false;
  else if (key === "Escape") app.select([]);
  else if (key === "/") document.getElementById("search").focus();
  else if (key === "?") document.getElementById("shortcuts").showModal();
  else return false;
  return true;
}
