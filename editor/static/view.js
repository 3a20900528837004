// The panes: where the scene lies in them, and what is drawn.

const panes = document.getElementById("panes");
const cursor = document.getElementById("cursor");
const LEAST = 0.05, MOST = 64; // of CSS pixels a pixel

export class View {
  /** app: `maps`, `images`, `selection`, `hovered`, `trail`, `placing`, `moving` are looked at */
  constructor(app) {
    this.app = app;
    const canvases = [...panes.querySelectorAll(".pane")].map((p) => [p.dataset.pane, p.querySelector("canvas")]);
    this.canvases = Object.fromEntries(canvases);
    Object.assign(this, { scale: 1, x: 0, y: 0, isFitted: true });
    Object.assign(this, { mode: "side", picture: "now", opacity: 0.45, divider: 0.5 });
    new ResizeObserver(() => this.resize()).observe(panes);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  get names() { return this.mode === "side" ? ["picture", "labels"] : ["picture"]; }

  setMode(mode) {
    this.mode = panes.dataset.view = mode;
    this.resize();
  }

  resize() {
    const { maps } = this.app;
    const shape = maps ? maps.width / maps.height : 1;
    const { width, height } = panes.getBoundingClientRect();
    // Whichever way the scene is larger in both.
    const beside = Math.min(width / 2 / shape, height) >= Math.min(width / shape, height / 2);
    panes.classList.toggle("beside", this.mode === "side" && beside);
    for (const canvas of Object.values(this.canvases)) {
      const box = canvas.getBoundingClientRect();
      canvas.width = Math.max(1, Math.round(box.width * devicePixelRatio));
      canvas.height = Math.max(1, Math.round(box.height * devicePixelRatio));
    }
    if (this.isFitted) this.fit();
    this.redraw();
  }

  /** Show the whole scene. */
  fit() {
    const { maps } = this.app;
    if (!maps) return;
    const { width, height } = this.canvases.picture.getBoundingClientRect();
    this.scale = Math.max(LEAST, Math.min(width / maps.width, height / maps.height) * 0.96);
    this.x = (width - maps.width * this.scale) / 2;
    this.y = (height - maps.height * this.scale) / 2;
    this.isFitted = true;
    this.redraw();
  }

  /** Zoom by a factor; what is at (x, y), CSS pixels of a pane, stays there. */
  zoom(factor, x, y) {
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.redraw();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.redraw();
  }

  /** A pointer event's place in its pane (px, py; CSS pixels) and in the scene (x, y). */
  place(event, canvas = event.currentTarget) {
    const box = canvas.getBoundingClientRect();
    return this.placeOf(event.clientX - box.left, event.clientY - box.top);
  }

  placeOf(px, py) { return { px, py, x: (px - this.x) / this.scale, y: (py - this.y) / this.scale }; }

  paneOf(element) { return Object.values(this.canvases).find((canvas) => canvas === element); }

  /** The round cursor, of the brush's true size; at once, not with the next drawing. */
  showCursor(canvas, { px, py }, width) {
    if (!width) { cursor.hidden = true; return; }
    const box = canvas.getBoundingClientRect(), around = panes.getBoundingClientRect();
    const side = Math.max(3, width * this.scale);
    cursor.hidden = false;
    cursor.style.width = cursor.style.height = `${side}px`;
    const left = box.left - around.left + px - side / 2, top = box.top - around.top + py - side / 2;
    cursor.style.transform = `translate(${left}px, ${top}px)`;
  }

  hideCursor() { cursor.hidden = true; }

  redraw() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      if (!this.app.maps) return;
      for (const name of this.names) this.draw(name);
      document.getElementById("zoom").value = `${Math.round(this.scale * 100)} %`;
    });
  }

  draw(name) {
    const canvas = this.canvases[name], context = canvas.getContext("2d"), { app } = this, { maps } = app;
    const ratio = devicePixelRatio, s = this.scale * ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(s, 0, 0, s, this.x * ratio, this.y * ratio);
    context.imageSmoothingEnabled = this.scale < 3;
    context.imageSmoothingQuality = this.app.tools?.drag ? "low" : "high"; // the latter takes longer
    const picture = app.shownPicture();
    const layer = (image, alpha = 1, clip = null) => {
      if (!image) return;
      context.save();
      if (clip) { context.beginPath(); context.rect(...clip); context.clip(); }
      context.globalAlpha = alpha;
      context.drawImage(image, 0, 0, maps.width, maps.height);
      context.restore();
    };
    const labels = () => { context.imageSmoothingEnabled = this.scale < 1; };
    if (name === "labels") {
      labels();
      layer(maps.drawn);
    } else {
      layer(picture);
      labels();
      if (this.mode === "overlay") layer(maps.drawn, this.opacity);
      if (this.mode === "slider") {
        const at = (this.dividerAt() - this.x) / this.scale;
        layer(maps.drawn, 1, [at, 0, Math.max(0, maps.width - at), maps.height]);
      }
    }
    this.drawTrail(context);
    this.drawOutlines(context, ratio / s);
    if (app.placing) app.placing.draw(context, ratio / s);
    if (name === "picture" && this.mode === "slider") this.drawDivider(context, canvas, ratio);
  }

  dividerAt() { return this.divider * this.canvases.picture.getBoundingClientRect().width; }

  drawDivider(context, canvas, ratio) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const x = this.dividerAt(), middle = canvas.height / ratio / 2;
    context.fillStyle = "#000";
    context.fillRect(x - 2.5, 0, 5, canvas.height);
    context.fillStyle = "#fff";
    context.fillRect(x - 1.5, 0, 3, canvas.height);
    context.beginPath();
    context.arc(x, middle, 12, 0, 7);
    context.fill();
    context.fillStyle = "#000";
    context.font = "14px sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("↔", x, middle + 1);
  }

  /** Pieces of a stroke that the server has not worked off. */
  drawTrail(context) {
    context.lineCap = context.lineJoin = "round";
    for (const { points, widths, colour } of this.app.trail) {
      context.strokeStyle = colour;
      for (let i = 0; i < points.length; i++) {
        const [row, column] = points[i], [fromRow, fromColumn] = points[Math.max(0, i - 1)];
        context.lineWidth = widths[Math.min(i, widths.length - 1)];
        context.beginPath();
        context.moveTo(fromColumn + 0.5, fromRow + 0.5);
        context.lineTo(column + 0.5, row + 0.5);
        context.stroke();
      }
    }
  }

  drawOutlines(context, pixel) {
    const { maps, selection, hovered, moving, tools } = this.app;
    if (tools.drag?.kind === "stroke") return; // they would be found anew with each piece
    const line = (thing, colour, width, offset = [0, 0]) => {
      context.save();
      context.translate(offset[1], offset[0]);
      const path = maps.outline(thing);
      context.lineCap = "square";
      context.strokeStyle = "#000c";
      context.lineWidth = (width + 2) * pixel;
      context.stroke(path);
      context.strokeStyle = colour;
      context.lineWidth = width * pixel;
      context.stroke(path);
      context.restore();
    };
    if (hovered && !moving) line(hovered, "#fff", 1);
    for (const thing of selection) line(thing, "#ffd24a", 2, moving?.by);
  }
}
