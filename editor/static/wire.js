// What buttons and fields do.

import { askJson } from "./api.js";
import { SHORTCUTS, listenToKeys } from "./keys.js";
import { $, make } from "./panels.js";

export function wire(app, enterFromAddress) {
  const { run, tools, view } = app;
  $("run").textContent = run.name;
  $("images").append(...(run.images.includes("") ? [] : [make("option", { value: "", textContent: "own file", hidden: true })]),
    ...run.images.map((name) => make("option", { value: name, textContent: name })));
  $("images").addEventListener("change", () => app.openImage($("images").value));
  for (const [name, kinds] of [["of-labels", run.label_nc], ["of-features", run.feat_num], ["of-instances", run.has_instances], ["of-pictures", !run.label_nc]]) {
    for (const element of document.querySelectorAll(`.${name}`)) element.hidden = !kinds;
  }
  $("notes-panel").hidden = !run.notes.length;
  $("notes").append(...run.notes.map((note) => make("li", { textContent: note })));
  for (const name of ["undo", "redo", "reset"]) $(name).addEventListener("click", () => app.step(name));
  for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => tools.choose(button.dataset.tool));
  for (const button of document.querySelectorAll("[data-view]:not(#panes)")) button.addEventListener("click", () => app.setView(button.dataset.view));
  for (const button of document.querySelectorAll("[data-picture]")) button.addEventListener("click", () => app.showPicture(button.dataset.picture));
  const actions = { relabel: () => app.relabel(), duplicate: () => app.duplicate(), remove: () => app.removeSelected() };
  for (const button of document.querySelectorAll("[data-action]")) button.addEventListener("click", actions[button.dataset.action]);
  const placed = {
    smaller: () => app.placing.resize(1 / 1.1), larger: () => app.placing.resize(1.1),
    mirror: () => app.placing.mirror(), done: () => app.place(), cancel: () => app.cancelPlacing(),
  };
  for (const button of document.querySelectorAll("[data-place]")) button.addEventListener("click", () => placed[button.dataset.place]());
  $("opacity").addEventListener("input", () => { view.opacity = $("opacity").value / 100; view.redraw(); });
  $("size").addEventListener("input", () => tools.resize(Number($("size").value)));
  $("colour").addEventListener("change", () => app.chooseColour($("colour").value));
  $("fit").addEventListener("click", () => view.fit());
  $("help").addEventListener("click", () => $("shortcuts").showModal());
  $("shortcut-list").append(...SHORTCUTS.flatMap(([keys, what]) => [
    make("dt", {}, ...keys.split(/(, | or | )/).map((part) => /^(, | or | )$/.test(part) ? part : make("kbd", { textContent: part }))),
    make("dd", { textContent: what })]));
  // Keys are for the picture again once something is chosen.
  document.addEventListener("change", ({ target }) => { if (target.matches("select")) target.blur(); });
  for (const id of ["joins", "over"]) $(id).addEventListener("change", () => app.showPaint());
  document.addEventListener("click", (event) => { if (!event.target.closest("#downloads summary")) $("downloads").open = false; });
  wireFiles(app);
  addEventListener("popstate", () => enterFromAddress(app));
  listenToKeys(app);
  app.setView("side");
  tools.choose(run.label_nc ? "select" : "brush");
  if (!run.label_nc) for (const colour of ["#ffffff", "#d04030", "#2f7d3b", "#2858b0", "#000000"]) app.chooseColour(colour);
}

function wireFiles(app) {
  if (app.run.label_nc) $("label-file").accept = $("label-file").accept.replace(".jpg,", "");
  $("upload").addEventListener("click", () => {
    $("file-form").reset();
    $("file-problem").textContent = "";
    $("file-dialog").showModal();
  });
  $("file-cancel").addEventListener("click", () => $("file-dialog").close());
  $("file-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [label] = $("label-file").files, [inst] = $("inst-file").files;
    const path = label.name.endsWith(".npz") ? "api/upload/scene" : `api/upload/maps?label_bytes=${label.size}`;
    const data = label.name.endsWith(".npz") || !inst ? label : new Blob([label, inst]);
    const button = event.target.querySelector(".main");
    if (button.disabled) return;
    Object.assign(button, { disabled: true, textContent: "Opening…" });
    $("file-problem").textContent = "";
    try {
      app.enter(await askJson(path, data.slice()));
      $("file-dialog").close();
    } catch (error) {
      $("file-problem").textContent = error.message;
    } finally {
      Object.assign(button, { disabled: false, textContent: "Open" });
    }
  });
}
