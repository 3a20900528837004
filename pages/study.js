"use strict";
// A session of a study: trials in random order, each shown, then answered; see docs/study.md.
const $ = (id) => document.getElementById(id);
const key = JSON.parse(new TextDecoder().decode(
  Uint8Array.from(atob($("key").textContent.trim()), (c) => c.charCodeAt(0))));
const STORE = "pix2pixhd-study-" + key.study;
const timed = key.times.length > 0;
let state = null, mode = "", trial = null, pictures = null, layout = null, shown = null, ready = {};

const frame = () => new Promise(requestAnimationFrame);
const below = (n) => Math.floor(Math.random() * n);
const draw = (list) => list[below(list.length)];
const randomId = () => Array.from({length: 16}, () => below(16).toString(16)).join("");

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

function newSession() {
  const order = shuffle(key.trials.map((_, i) => i));
  // What attention checks ask must be seen by anybody who looks: they last a second at least.
  const longer = key.times.filter((t) => t >= 1);
  const plan = order.map((i) => ({
    trial: i, swapped: Math.random() < 0.5,
    seconds: timed ? draw(key.trials[i].check ? longer : key.times) : null,
  }));
  return {session: randomId(), started: new Date().toISOString(), reloads: 0, plan, answers: []};
}

// Where the browser forbids it, as some do for files, a session does not outlive a reload.
function store() { try { localStorage.setItem(STORE, JSON.stringify(state)); } catch { /* goes on */ } }
function stored() { try { return JSON.parse(localStorage.getItem(STORE)); } catch { return null; } }

function result() {
  return {
    format: "pix2pixhd study 1", study: key.study, x: key.x, y: key.y, timed,
    session: state.session, started: state.started, reloads: state.reloads,
    ended: new Date().toISOString(), planned: state.plan.length,
    complete: state.answers.length === state.plan.length,
    browser: navigator.userAgent, answers: state.answers,
  };
}

function load(number) {  // the pictures of a trial, decoded
  if (number >= state.plan.length) return null;
  if (!ready[number]) {
    const {trial: index, swapped} = state.plan[number], {a, b, input} = key.trials[index];
    const files = [...(swapped ? [b, a] : [a, b]), ...(input ? [input] : [])];
    ready = {[number - 1]: ready[number - 1], [number]: Promise.all(files.map(async (file) => {
      const image = new Image();
      image.src = file;
      image.alt = "";
      image.draggable = false;
      await image.decode();
      return image;
    }))};
    ready[number].catch(() => {});  // told when it is this one's turn
  }
  return ready[number];
}

function place() {  // both equally large, as large as fits, never enlarged
  if (!pictures) return;
  const [left, right, input] = pictures, GAP = 12;
  const wide = document.documentElement.clientWidth - 24;
  const high = window.innerHeight - $("top").offsetHeight - $("say").offsetHeight
    - $("choose").offsetHeight - 60;
  const w = Math.max(left.naturalWidth, right.naturalWidth), h = w * left.naturalHeight / left.naturalWidth;
  const above = input ? Math.min(input.naturalHeight, 0.3 * high) : 0, rest = high - above - GAP;
  const beside = Math.min(1, (wide - GAP) / 2 / w, rest / h);
  const stacked = Math.min(1, wide / w, (rest - GAP) / 2 / h);
  const isStacked = stacked > beside, scale = Math.max(0.01, beside, stacked);
  for (const image of [left, right]) {
    image.style.width = Math.round(w * scale) + "px";
    image.style.height = Math.round(h * scale) + "px";
  }
  if (input) {
    const fit = Math.min(1, wide / input.naturalWidth, above / input.naturalHeight);
    input.style.width = input.naturalWidth * fit + "px";
    input.style.height = "auto";
  }
  $("pair").className = isStacked ? "stacked" : "beside";
  $("first").textContent = isStacked ? "Upper (1)" : "Left (1)";
  $("second").textContent = isStacked ? "Lower (2)" : "Right (2)";
  layout = {arranged: $("pair").className, width: Math.round(w * scale), height: Math.round(h * scale),
    file_width: w, window: [window.innerWidth, window.innerHeight], pixel_ratio: window.devicePixelRatio};
}

function enter(next, say) {
  mode = next;
  $("say").textContent = say;
  $("go").hidden = !["welcome", "ready", "lost"].includes(mode);
  $("first").hidden = $("second").hidden = !["show", "choose"].includes(mode);
  $("first").disabled = $("second").disabled = mode === "show" && timed;
  $("top").hidden = ["welcome", "end"].includes(mode);
  $("text").hidden = !["welcome", "end", "lost"].includes(mode);
  $("shown").hidden = $("pair").hidden = !$("text").hidden;
  document.body.dataset.mode = mode;
}

function tell(title, ...lines) {
  const heading = document.createElement("h1");
  heading.textContent = title;
  $("text").replaceChildren(heading, ...lines.map((line) => {
    if (typeof line !== "string") return line;
    const p = document.createElement("p");
    p.textContent = line;
    return p;
  }));
}

function welcome(left) {
  tell("Which one looks more natural?",
    (key.trials.some((t) => t.input) ? "Each time you see an input and two pictures made from it. " : "Each time you see two pictures. ")
    + "Choose the one that looks more natural, more like a photograph. There is no right answer; if you cannot tell, guess.",
    timed ? "The pictures are there for a short time only, from an eighth of a second to eight seconds, and then you choose. Look at the middle of the window before you go on."
      : "Take the time you need.",
    "Keys: space to go on, left or 1, right or 2. Or click, or touch. You can stop whenever you like.",
    `${state.plan.length} pairs.` + (left ? ` You go on where you were: ${left} done.` : ""));
  enter("welcome", "");
}

async function next() {
  shown = pictures = null;
  const number = state.answers.length;
  if (number >= state.plan.length) return end();
  $("count").textContent = `${number + 1} of ${state.plan.length}`;
  $("progress").value = number / state.plan.length;
  trial = state.plan[number];
  enter("load", "Loading");
  try {
    const loaded = await load(number);
    if (mode !== "load" || number !== state.answers.length) return;  // stopped meanwhile
    pictures = loaded;
  } catch {
    tell("A picture is missing", "The page needs the folder images beside it. If it came as a zip file, unpack all of it first. Then go on, or load the page again.");
    ready = {};
    return enter("lost", "");
  }
  pictures[0].className = pictures[1].className = "off";
  $("pair").replaceChildren(...pictures.slice(0, 2).map((image) => {
    const frame = document.createElement("div");  // shows the place before there is anything
    frame.append(image);
    return frame;
  }));
  $("shown").replaceChildren(...pictures.slice(2));
  if (timed) {
    enter("ready", "Ready? Go on (space), and the pictures show");
    place();
  } else show();
}

async function show() {
  const which = pictures;
  enter("show", timed ? "" : "Which one looks more natural?");
  place();
  // What a callback of a frame changes is drawn in that frame: its time is that of the change.
  let now = await frame(), last = now, interval = 16.7;
  if (pictures !== which) return;  // stopped meanwhile
  for (const image of which.slice(0, 2)) image.classList.remove("off");
  const mine = shown = {from: now, at: performance.now(), ms: null, interrupted: document.hidden};
  load(state.answers.length + 1);
  if (!timed) return;
  while (now - mine.from < trial.seconds * 1000 - interval / 2) {
    now = await frame();
    if (shown !== mine) return;
    interval = Math.min(50, Math.max(4, now - last));
    last = now;
  }
  for (const image of which.slice(0, 2)) image.classList.add("off");
  shown.ms = now - shown.from;
  shown.at = performance.now();
  enter("choose", "Which one looked more natural?");
}

function choose(side) {
  if (!shown || !(mode === "choose" || (mode === "show" && !timed))) return;
  const now = performance.now(), {trial: index, swapped, seconds} = trial;
  const names = key.trials[index].check ? ["intact", "broken"] : ["x", "y"];
  const sides = swapped ? names.reverse() : names;
  state.answers.push({
    name: key.trials[index].name, check: key.trials[index].check, left: sides[0], choice: sides[side],
    asked_seconds: seconds, shown_ms: timed ? shown.ms : now - shown.from,
    answer_ms: now - shown.at, interrupted: shown.interrupted, layout,
  });
  store();
  next();
}

function end() {
  shown = pictures = null;
  const text = JSON.stringify(result(), null, 1), done = state.answers.length;
  const whole = done === state.plan.length;
  const save = document.createElement("a");
  save.id = "save";
  save.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  save.download = `study_${key.study}_${state.session.slice(0, 8)}.json`;
  save.textContent = "Save the answers";
  const again = document.createElement("button");
  again.textContent = "Begin anew, as another person";
  again.onclick = () => { state = newSession(); store(); ready = {}; welcome(0); };
  const back = document.createElement("button");
  back.textContent = "Go on after all";
  back.onclick = () => { ready = {}; next(); };
  tell(whole ? "Thank you" : "Stopped",
    `${done} of ${state.plan.length} answered. Save the file and send it to the person who gave you this page.`,
    save, document.createElement("p"), whole ? again : back);
  enter("end", "");
}

function goOn() {
  if (mode === "welcome" || mode === "lost") next();
  else if (mode === "ready") show();
}

document.addEventListener("visibilitychange", () => { if (document.hidden && shown && mode === "show") shown.interrupted = true; });
window.addEventListener("resize", place);
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || mode === "end") return;
  const act = {" ": goOn, Enter: goOn, ArrowLeft: () => choose(0), ArrowUp: () => choose(0), 1: () => choose(0),
    ArrowRight: () => choose(1), ArrowDown: () => choose(1), 2: () => choose(1)}[event.key];
  if (!act) return;
  event.preventDefault();  // neither scrolls nor presses the button that has the focus
  act();
});
$("go").onclick = goOn;
$("stop").onclick = end;
$("first").onclick = () => choose(0);
$("second").onclick = () => choose(1);
$("pair").onclick = (event) => { if (pictures && event.target.tagName === "IMG") choose(pictures.indexOf(event.target)); };

state = stored();
if (state && state.answers.length) state.reloads += 1;
else state = newSession();
store();
if (state.answers.length === state.plan.length) end();
else { welcome(state.answers.length); load(state.answers.length); }
