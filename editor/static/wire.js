// What fields, menus and dialogs do; buttons with data-command are wired by keys.js.

import { askJson } from "./api.js";
import { listenToKeys, wireCommands } from "./keys.js";
import { $, make } from "./panels.js";

const COLOURS = ["#ffffff", "#d04030", "#2f7d3b", "#2858b0", "#000000"]; // to begin drawing with

export function wire(app, enterFromAddress) {
  const { run, tools, view } = app;
  $("run").textContent = run.name;
  const own = run.images.includes("") ? [] : [make("option", { value: "", textContent: "own file", hidden: true })];
  $("images").append(...own, ...run.images.map((name) => make("option", { value: name, textContent: name })));
  $("images").addEventListener("change", () => app.openImage($("images").value));
  const has = {
    "of-labels": run.label_nc, "of-features": run.feat_num,
    "of-instances": run.has_instances, "of-pictures": !run.label_nc,
  };
  for (const [name, isOfRun] of Object.entries(has)) {
    for (const element of document.querySelectorAll(`.${name}`)) element.hidden = !isOfRun;
  }
  $("notes-panel").hidden = !run.notes.length;
  $("notes").append(...run.notes.map((note) => make("li", { textContent: note })));
  $("opacity").addEventListener("input", () => {
    view.opacity = $("opacity").value / 100;
    view.redraw();
  });
  $("size").addEventListener("input", () => tools.resize(Number($("size").value)));
  $("colour").addEventListener("change", () => app.chooseColour($("colour").value));
  // Keys are for the picture again once something is chosen.
  document.addEventListener("change", ({ target }) => { if (target.matches("select")) target.blur(); });
  for (const id of ["joins", "over"]) $(id).addEventListener("change", () => app.showPaint());
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("#downloads summary")) $("downloads").open = false;
  });
  wireFiles(app);
  for (const link of document.querySelectorAll("[data-file]")) {
    link.addEventListener("click", (event) => takeAway(app, link, event));
  }
  addEventListener("popstate", () => enterFromAddress(app));
  wireCommands(app);
  listenToKeys(app);
  app.setView("side");
  tools.choose(run.label_nc ? "select" : "brush");
  if (!run.label_nc) COLOURS.forEach((colour) => app.chooseColour(colour));
}

/** A download has all that was asked for before it. */
async function takeAway({ live, say }, link, event) {
  if (!live.isBusy) return;
  event.preventDefault();
  try {
    await live.inTurn(() => {});
    link.click();
  } catch (error) {
    say(error.message);
  }
}

function wireFiles(app) {
  if (app.run.label_nc) $("label-file").accept = $("label-file").accept.replace(".jpg,", "");
  let leaving = new AbortController();
  $("file-cancel").addEventListener("click", () => $("file-dialog").close());
  $("file-dialog").addEventListener("close", () => {
    leaving.abort();
    leaving = new AbortController();
  });
  $("file-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [label] = $("label-file").files, [inst] = $("inst-file").files;
    const isScene = label.name.endsWith(".npz");
    const path = isScene ? "api/upload/scene" : `api/upload/maps?label_bytes=${label.size}`;
    const data = isScene || !inst ? label : new Blob([label, inst]);
    const button = event.target.querySelector(".main");
    if (button.disabled) return;
    Object.assign(button, { disabled: true, textContent: "Opening…" });
    $("file-problem").textContent = "";
    try {
      await app.open(askJson(path, data.slice(), leaving.signal));
      $("file-dialog").close();
    } catch (error) {
      if (error.name !== "AbortError") $("file-problem").textContent = error.message;
    } finally {
      Object.assign(button, { disabled: false, textContent: "Open" });
    }
  });
}
