// From keys and buttons to commands, and the list of them.

import { ALL, ARROWS, COMMANDS, GESTURES } from "./commands.js";
import { $, make } from "./panels.js";

const NAMES = {
  " ": "Space", "-": "−", Escape: "Esc",
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓",
};
const TYPES = "select, textarea, input:not([type=range], [type=checkbox], [type=color])";
const IN_ARIA = { Ctrl: "Control", Esc: "Escape", Space: "Space", "−": "-" };

/** A key as the table of commands has it, such as Ctrl-Shift-Z. */
function nameOf(event) {
  const { key } = event, name = NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  const isTyped = event.getModifierState("AltGraph"); // such as [ on a German keyboard
  const hasCtrl = !isTyped && (event.ctrlKey || event.metaKey), hasAlt = !isTyped && event.altKey;
  // With a character, Shift is part of what is typed.
  const hasShift = event.shiftKey && (hasCtrl || name.length > 1 || name in ARROWS);
  return [hasCtrl && "Ctrl", hasAlt && "Alt", hasShift && "Shift", name].filter(Boolean).join("-");
}

/** Whether the element that has the focus takes such a key itself: not a tool that was just clicked, nor
 *  the gallery's that began placing. */
function isTaken({ target }, key, now) {
  if (key.at(-1) in ARROWS && target.matches("#tools button")) return false;
  if (now === "placing" && !target.closest("#placing")) return false;
  return target.matches("button, input, a, summary");
}

const buttonsOf = ({ name }) => [...document.querySelectorAll(`[data-command=${name}]`)];

function commandOf(app, event) {
  const now = app.tools.drag ? "drag" : app.placing ? "placing" : "idle", key = nameOf(event);
  const found = ALL.find(({ keys, also = [], during = "idle", isOnPicture }) =>
    [...keys, ...also].includes(key) && [now, "always"].includes(during) && !(isOnPicture && isTaken(event, key, now)));
  return { found, key };
}

/** Returns whether the key meant something. */
function press(app, event) {
  const { found, key } = commandOf(app, event);
  if (!found) return Boolean(app.tools.drag) && !key.startsWith("Ctrl");
  if (buttonsOf(found).some((button) => button.hidden)) return false; // nothing for this run
  if (!found.press) found.run(app, event, key);
  else if (!event.repeat) found.press(app);
  return true;
}

export function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (target.closest("dialog") || target.matches(TYPES) || !app.maps) return;
    if (press(app, event)) event.preventDefault();
  });
  const held = ALL.filter(({ release }) => release);
  document.addEventListener("keyup", (event) => {
    const key = nameOf(event).split("-").at(-1);
    for (const { keys, release } of held) if (keys.includes(key)) release(app);
  });
  addEventListener("blur", () => held.forEach(({ release }) => release(app)));
}

export function wireCommands(app) {
  for (const command of ALL) {
    const { keys, what, run } = command;
    for (const element of buttonsOf(command)) {
      element.title = keys.length ? `${what} (${keys[0]})` : what;
      const parts = keys.map((key) => key.split("-").map((part) => IN_ARIA[part] ?? part).join("+"));
      if (keys.length) element.setAttribute("aria-keyshortcuts", parts.join(" "));
      element.querySelector("kbd")?.append(keys[0]);
      if (element.matches("button")) element.addEventListener("click", (event) => run(app, event));
    }
  }
  const row = (keys, what) => [
    make("dt", {}, ...keys.map((textContent) => make("kbd", { textContent }))), make("dd", { textContent: what })];
  const lists = Object.entries(COMMANDS).map(([heading, commands]) => [
    heading, commands.filter(({ keys }) => keys.length).flatMap(({ keys, what }) => row(keys, what))]);
  lists.push(["Pointer", GESTURES.flatMap(([keys, what]) => row(keys, what))]);
  $("shortcut-list").append(...lists.map(([heading, rows]) =>
    make("section", {}, make("h3", { textContent: heading }), make("dl", {}, ...rows))));
}
