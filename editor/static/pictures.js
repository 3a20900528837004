// The pictures of a scene: as it is now, at the start, and how far the last step reaches.

import { ask } from "./api.js";
import { canvasOf, differenceOf } from "./maps.js";
import { $, check } from "./panels.js";
import { Selecting } from "./selecting.js";

export class Showing extends Selecting {
  async gotImage(header, png) {
    const bitmap = await createImageBitmap(png);
    if (header.version < this.shownVersion) return; // the newest wins
    this.shownVersion = header.version;
    const canvas = canvasOf(bitmap.width, bitmap.height);
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    this.images.now = canvas;
    this.images.difference = null;
    if (!header.preview) this.images.full = canvas;
    if (this.state.version === 0) this.images.start = canvas;
    $("time").value = `${Math.round(header.milliseconds)} ms${header.preview ? " (preview)" : ""}`;
    $("pending").hidden = this.state.version <= header.version;
    document.body.dataset.version = header.version; // for those who drive the page
    document.body.dataset.full = !header.preview;
    this.view.redraw();
  }

  /** What the picture's pane shows. */
  shownPicture() {
    const { images, view } = this;
    const told = $("caption");
    told.textContent = { now: "Picture", start: "At the start", difference: "Difference: no step yet" }[view.picture];
    if (view.picture === "start") return images.start ?? images.now;
    if (view.picture === "difference" && images.before && images.now) {
      images.difference ??= differenceOf(images.before, images.now);
      const share = (100 * images.difference.share).toFixed(1);
      told.textContent = `The last step changed ${share} % of the pixels`;
      return images.difference.canvas;
    }
    return images.now;
  }

  async showPicture(picture) {
    this.view.picture = picture;
    check("picture", picture);
    this.view.redraw();
    if (picture === "start" && !this.images.start && this.id) {
      const id = this.id, png = await (await ask(`${this.path}/start`)).blob();
      const bitmap = await createImageBitmap(png);
      if (id === this.id) { this.images.start = bitmap; this.view.redraw(); }
    }
  }
}
