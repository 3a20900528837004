// An object on its way into the scene: it follows the pointer, is scaled and mirrored, then placed.

const HANDLE = 9; // CSS pixels

export class Placing {
  /** source: what the server is told; image: what is shown; size: [height, width] in the scene */
  constructor(app, source, image, [height, width], at) {
    Object.assign(this, { app, source, image, height, width, scale: 1, mirrored: false });
    [this.row, this.column] = at;
  }

  /** Height and width. */
  get shown() { return [this.height, this.width].map((side) => Math.max(1, Math.round(side * this.scale))); }

  centre(x, y) {
    const [height, width] = this.shown;
    this.row = y - height / 2;
    this.column = x - width / 2;
    this.app.view.redraw();
  }

  holds({ x, y }) {
    const [height, width] = this.shown;
    return x >= this.column && y >= this.row && x < this.column + width && y < this.row + height;
  }

  get isInside() {
    const [height, width] = this.shown, { maps } = this.app;
    return this.row > -height && this.column > -width && this.row < maps.height && this.column < maps.width;
  }

  /** What a pointer that goes down here takes hold of: the handle, the object, or null. */
  grab(place) {
    const [height, width] = this.shown, reach = 2 * HANDLE / this.app.view.scale;
    const isHandle = Math.hypot(place.x - this.column - width, place.y - this.row - height) < reach;
    if (isHandle) return { kind: "placed", isHandle };
    return this.holds(place) ? { kind: "placed", dx: place.x - this.column, dy: place.y - this.row } : null;
  }

  drag(hold, place) {
    if (hold.isHandle) {
      this.setScale(Math.max((place.x - this.column) / this.width, (place.y - this.row) / this.height));
    } else {
      this.column = place.x - hold.dx;
      this.row = place.y - hold.dy;
    }
    this.app.view.redraw();
  }

  setScale(scale) { this.scale = Math.min(32, Math.max(0.05, scale)); }

  /** Scale around the foot: things stand where they stood. */
  resize(factor) {
    const [height, width] = this.shown;
    this.setScale(this.scale * factor);
    const [newHeight, newWidth] = this.shown;
    this.row += height - newHeight;
    this.column += (width - newWidth) / 2;
    this.app.view.redraw();
  }

  shift(dx, dy) {
    this.column += dx;
    this.row += dy;
    this.app.view.redraw();
  }

  mirror() {
    this.mirrored = !this.mirrored;
    this.app.view.redraw();
  }

  operation(isBehind) {
    return {
      kind: "add", ...this.source, at: [Math.round(this.row), Math.round(this.column)],
      scale: this.scale, mirrored: this.mirrored, behind: isBehind ? "things" : "nothing",
    };
  }

  draw(context, pixel) {
    const [height, width] = this.shown;
    context.save();
    context.translate(this.column + (this.mirrored ? width : 0), this.row);
    context.scale(this.mirrored ? -1 : 1, 1);
    context.globalAlpha = 0.85;
    context.drawImage(this.image, 0, 0, width, height);
    context.restore();
    context.lineWidth = pixel * 3;
    for (const [colour, line] of [["#000", 3], ["#ffd24a", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = line * pixel;
      context.strokeRect(this.column, this.row, width, height);
    }
    context.fillStyle = "#ffd24a";
    const side = HANDLE * pixel;
    context.fillRect(this.column + width - side / 2, this.row + height - side / 2, side, side);
  }
}
