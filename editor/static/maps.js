// A scene's maps as the page holds them, and what is drawn of them.

const canvasOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

export class Maps {
  constructor([height, width], run) {
    Object.assign(this, { width, height, run, version: 0 });
    this.isPicture = !run.label_nc;
    this.label = new Int32Array(width * height);
    this.inst = run.has_instances ? new Int32Array(width * height) : this.label;
    this.drawn = canvasOf(width, height); // the label map in its colours, or the picture
    this.colours = new Uint32Array(run.labels.map(({ colour: [r, g, b] }) => (255 << 24 | b << 16 | g << 8 | r) >>> 0));
    this.outlines = new Map();
  }

  /** Take over a rectangle that the server sent; outlines that it leaves as they are, are kept. */
  set({ box, maps }, buffer) {
    const [top, left, bottom, right] = box;
    const columns = right - left, rows = bottom - top;
    let offset = 0;
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (const name of maps) {
      if (name === "picture") {
        const channels = (buffer.byteLength - (maps.includes("inst") ? columns * rows * 4 : 0)) / (columns * rows);
        const values = new Uint8Array(buffer, 0, columns * rows * channels);
        for (let i = 0; i < pixels.length; i++) {
          const [r, g, b] = channels < 3 ? [0, 0, 0] : [0, 1, 2];
          const at = i * channels;
          pixels[i] = (255 << 24 | values[at + b] << 16 | values[at + g] << 8 | values[at + r]) >>> 0;
        }
        offset += values.length;
        continue;
      }
      const values = new Int32Array(buffer.slice(offset, offset += columns * rows * 4));
      if (this[name] === this.inst) this.forget(values, box);
      for (let y = 0; y < rows; y++) {
        this[name].set(values.subarray(y * columns, (y + 1) * columns), (top + y) * this.width + left);
      }
      if (name === "label") {
        for (let i = 0; i < pixels.length; i++) pixels[i] = this.colours[values[i]] ?? 0xff808080;
      }
    }
    this.drawn.getContext("2d").putImageData(image, left, top);
    this.version++;
  }

  forget(values, [top, left, bottom, right]) {
    const changed = new Set();
    for (let y = top, i = 0; y < bottom; y++) {
      for (let x = left, j = y * this.width + left; x < right; x++, i++, j++) {
        if (values[i] !== this.inst[j]) changed.add(values[i]).add(this.inst[j]);
      }
    }
    for (const [key, { thing }] of this.outlines) {
      if (!("inst" in thing) || changed.has(thing.inst)) this.outlines.delete(key);
    }
  }

  at(x, y) {
    const column = Math.floor(x), row = Math.floor(y);
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    const i = row * this.width + column;
    return { row, column, label: this.label[i], inst: this.inst[i] };
  }

  /** Instances of a label, and the pixels of each. */
  instancesOf(label) {
    const found = new Map();
    for (let i = 0; i < this.label.length; i++) {
      if (this.label[i] === label) found.set(this.inst[i], (found.get(this.inst[i]) ?? 0) + 1);
    }
    return found;
  }

  labelsThere() {
    const found = new Set();
    let last = NaN;
    for (const label of this.label) if (label !== last) found.add(last = label);
    return found;
  }

  /** Mask and box of a selected thing: {inst}, or {row, column} of a region. */
  region(thing) {
    const { width, height } = this;
    const mask = new Uint8Array(width * height);
    if ("inst" in thing) {
      for (let i = 0; i < mask.length; i++) mask[i] = this.inst[i] === thing.inst;
    } else {
      const first = thing.row * width + thing.column, value = this.inst[first], stack = [first];
      mask[first] = 1;
      while (stack.length) {
        const i = stack.pop(), x = i % width;
        const beside = [
          [i - 1, x > 0], [i + 1, x < width - 1], [i - width, i >= width], [i + width, i + width < mask.length],
        ];
        for (const [j, ok] of beside) {
          if (ok && !mask[j] && this.inst[j] === value) { mask[j] = 1; stack.push(j); }
        }
      }
    }
    let top = height, left = width, bottom = 0, right = 0;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (!mask[i]) continue;
        top = Math.min(top, y); bottom = y + 1;
        left = Math.min(left, x); right = Math.max(right, x + 1);
      }
    }
    return { mask, top, left, bottom, right, isEmpty: !bottom };
  }

  /** Path2D along the edges of a thing, in pixels of the scene; kept until the maps change. */
  outline(thing) {
    const key = JSON.stringify(thing);
    if (this.outlines.has(key)) return this.outlines.get(key).path;
    if (this.outlines.size > 100) this.outlines.clear();
    const { mask, top, left, bottom, right } = this.region(thing), path = new Path2D();
    // Between lines of pixels, runs of edges: where one of two neighbours is inside.
    const edges = (first, last, from, to, step, along, line) => {
      for (let a = first; a <= last; a++) {
        for (let b = from, begin = -1; b <= to; b++) {
          const i = a * step + b * along;
          const is = b < to && (a < last ? mask[i] : 0) !== (a > first ? mask[i - step] : 0);
          if (is && begin < 0) begin = b;
          if (!is && begin >= 0) { line(a, begin, b); begin = -1; }
        }
      }
    };
    edges(top, bottom, left, right, this.width, 1, (y, x0, x1) => { path.moveTo(x0, y); path.lineTo(x1, y); });
    edges(left, right, top, bottom, 1, this.width, (x, y0, y1) => { path.moveTo(x, y0); path.lineTo(x, y1); });
    this.outlines.set(key, { thing, path });
    return path;
  }

  /** A canvas of what `picture` shows of a thing, transparent around it, and where it is. */
  cutOut(thing, picture) {
    const { mask, top, left, bottom, right, isEmpty } = this.region(thing);
    if (isEmpty) return null;
    const canvas = canvasOf(right - left, bottom - top), context = canvas.getContext("2d");
    context.drawImage(picture ?? this.drawn, -left, -top);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let y = top, i = 3; y < bottom; y++) {
      for (let x = left; x < right; x++, i += 4) image.data[i] *= mask[y * this.width + x];
    }
    context.putImageData(image, 0, 0);
    return { canvas, at: [top, left] };
  }
}

/** How far `after` differs from `before`: a canvas, and the share of pixels that changed visibly. */
export function differenceOf(before, after) {
  const { width, height } = after;
  const [old, now] = [before, after].map((c) => c.getContext("2d").getImageData(0, 0, width, height).data);
  const canvas = canvasOf(width, height), context = canvas.getContext("2d");
  const image = context.createImageData(width, height), out = image.data;
  let visible = 0;
  for (let i = 0; i < out.length; i += 4) {
    let change = 0;
    for (let at = i; at < i + 3; at++) change = Math.max(change, Math.abs(now[at] - old[at]));
    visible += change > 8;
    const strength = Math.min(1, change / 48), gray = (now[i] + now[i + 1] + now[i + 2]) / 3 * 0.4;
    out[i] = gray + strength * (255 - gray);
    out[i + 1] = gray + strength * (150 - gray);
    out[i + 2] = gray * (1 - strength);
    out[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return { canvas, share: visible / (width * height) };
}

export { canvasOf };
