// The view of two results over each other. Without it the page still shows everything, and a click
// opens the picture.
const byId = id => document.getElementById(id);
const rows = [...document.querySelectorAll("main section")];
const view = byId("view"), box = byId("view-box"), divider = byId("view-divider");
const selects = [byId("view-left"), byId("view-right")];
// Two runs to begin with: what stands before them is the input and the real image.
const first = Number(document.querySelector("main").dataset.first);
const state = {row: 0, left: first, right: first + 1, at: 50};

const linksOf = row => [...rows[row].querySelectorAll(".pictures figure > a")];

function place(percent) {
  state.at = Math.min(100, Math.max(0, percent));
  divider.style.left = `${state.at}%`;
  divider.setAttribute("aria-valuenow", Math.round(state.at));
  byId("view-over").style.clipPath = `inset(0 ${100 - state.at}% 0 0)`;
}

function draw() {
  const links = linksOf(state.row);
  byId("view-name").textContent =
    `${rows[state.row].dataset.name} (${state.row + 1} of ${rows.length})`;
  for (const [side, id] of [["left", "view-over"], ["right", "view-under"]]) {
    const link = links[state[side]], image = link.querySelector("img"), picture = byId(id);
    if (picture.src !== link.href) picture.src = link.href;
    picture.alt = image.alt;
    byId(`view-${side}`).value = state[side];
    const told = link.closest(".pictures > div").querySelector(".own");
    const name = byId(`view-${side}`).selectedOptions[0].label;
    byId(`view-told-${side}`).textContent = told ? `${name}: ${told.textContent}` : name;
    box.style.setProperty("--ratio", image.getAttribute("width") / image.getAttribute("height"));
  }
  for (const row of [state.row + 1, state.row - 1]) {
    if (!rows[row]) continue;
    for (const side of ["left", "right"]) new Image().src = linksOf(row)[state[side]].href;
  }
}

function walk(step) {
  state.row = Math.min(rows.length - 1, Math.max(0, state.row + step));
  draw();
}

// The last two that were chosen are shown, the newer one on the right.
function choose(column) {
  if (column >= selects[0].length || column === state.right) return;
  [state.left, state.right] = [state.right, column];
  draw();
}

function swap() {
  [state.left, state.right] = [state.right, state.left];
  draw();
}

function open(row, column) {
  const other = column === state.left ? state.right : state.left;
  Object.assign(state, {row, left: other, right: column});
  draw();
  place(50);
  view.showModal();
  divider.focus();
}

document.querySelector("main").addEventListener("click", event => {
  const link = event.target.closest(".pictures figure > a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const row = rows.indexOf(link.closest("section"));
  open(row, linksOf(row).indexOf(link));
});

view.addEventListener("close", () => {
  const link = linksOf(state.row)[state.right];
  link.focus({preventScroll: true});
  rows[state.row].scrollIntoView({block: "nearest"});
});

const walks = {ArrowUp: -1, k: -1, K: -1, ArrowDown: 1, j: 1, J: 1};
document.addEventListener("keydown", event => {
  const {key} = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
  if (!view.open) {
    if (!/^[jk]$/i.test(key)) return;
    const current = rows.indexOf(document.activeElement.closest("section"));
    const next = Math.min(rows.length - 1, Math.max(0, current + walks[key]));
    linksOf(next)[state.right].focus();
  } else if (key in walks) walk(walks[key]);
  else if (key === "ArrowLeft") place(state.at - (event.shiftKey ? 10 : 2));
  else if (key === "ArrowRight") place(state.at + (event.shiftKey ? 10 : 2));
  else if (key === "Home") place(0);
  else if (key === "End") place(100);
  else if (/^[1-9]$/.test(key)) choose(Number(key) - 1);
  else return;
  event.preventDefault();
});

const drag = event => {
  const {left, width} = box.getBoundingClientRect();
  place(100 * (event.clientX - left) / width);
};
box.addEventListener("pointerdown", event => {
  if (event.isTrusted) box.setPointerCapture(event.pointerId);
  drag(event);
});
box.addEventListener("pointermove", event => {
  if (event.buttons) drag(event);
});

for (const [side, select] of [["left", selects[0]], ["right", selects[1]]]) {
  select.addEventListener("change", () => {
    state[side] = Number(select.value);
    draw();
  });
}
byId("view-swap").addEventListener("click", swap);
byId("view-up").addEventListener("click", () => walk(-1));
byId("view-down").addEventListener("click", () => walk(1));
byId("view-close").addEventListener("click", () => view.close());
