// The pictures of a scene: as it is now, at the start, and how far the last step reaches.

import { ask } from "./api.js";
import { canvasOf, differenceOf } from "./maps.js";
import { $, check } from "./panels.js";
import { Selecting } from "./selecting.js";

export class Showing extends Selecting {
  gotImage(header, bitmap) {
    const isLate = header.preview && header.version === this.images.fullVersion; // unpacked after the full one
    if (header.version < this.shownVersion || isLate) return; // the newest wins
    this.shownVersion = header.version;
    const canvas = canvasOf(bitmap.width, bitmap.height);
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    const { images } = this;
    images.now = canvas;
    images.difference = null;
    if (images.fullVersion <= header.began && header.began < header.version) {
      Object.assign(images, { before: images.full, isOfOne: images.fullVersion === header.began });
    }
    if (!header.preview) Object.assign(images, { full: canvas, fullVersion: header.version });
    $("time").value = `${header.preview ? "preview" : "drawn"} in ${Math.round(header.milliseconds)} ms`;
    this.showPending();
    document.body.dataset.version = header.version; // for those who drive the page
    document.body.dataset.full = !header.preview;
    this.view.redraw();
  }

  /** What the picture's pane shows. */
  shownPicture() {
    const { images, view } = this;
    const told = $("caption");
    const start = images.start ? "At the start" : "At the start: not here yet";
    const captions = { now: "Picture", start, difference: "Difference: no step since this page was opened" };
    told.textContent = captions[view.picture];
    if (view.picture === "start") return images.start;
    if (view.picture === "difference" && images.before && images.now) {
      images.difference ??= differenceOf(images.before, images.now);
      const share = (100 * images.difference.share).toFixed(1);
      told.textContent = `The last step${images.isOfOne ? "" : "s"} changed ${share} % of the pixels`;
      return images.difference.canvas;
    }
    return images.now;
  }

  /** The start, as long as a key is held. */
  peek(isHeld) {
    if (isHeld) this.pictureBefore = this.view.picture;
    else if (!this.pictureBefore) return;
    this.showPicture(isHeld ? "start" : this.pictureBefore);
    if (!isHeld) this.pictureBefore = null;
  }

  async showPicture(picture) {
    this.view.picture = picture;
    check("pictures", picture);
    this.view.redraw();
    if (picture !== "start" || this.images.start || !this.id) return;
    const { id } = this;
    try {
      const bitmap = await createImageBitmap(await (await ask(`${this.path}/start`)).blob());
      if (id === this.id) { this.images.start = bitmap; this.view.redraw(); }
    } catch (error) {
      this.say(error.message);
    }
  }

  /** Tell that something is being waited for. */
  showPending() {
    $("pending").textContent = this.doing.at(-1)?.what ?? "Rendering…";
    $("pending").hidden = !this.doing.length && this.state.version <= this.shownVersion;
  }

  /** Tell what is being done till a promise is kept or broken. */
  async during(what, promise) {
    const doing = { what };
    this.doing.push(doing);
    this.showPending();
    try {
      return await promise;
    } finally {
      this.doing.splice(this.doing.indexOf(doing), 1);
      this.showPending();
    }
  }
}
