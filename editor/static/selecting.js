// What is selected, and what the pointer is over. A thing is {inst}, or, of a run without instance maps,
// the region around {row, column}.

import { $ } from "./panels.js";

const unique = (things) => [...new Map(things.map((thing) => [JSON.stringify(thing), thing])).values()];

/** The base of the app, which has `maps`, `run`, `view` and `panels`. */
export class Selecting {
  thingAt({ row, column, inst }) { return this.run.has_instances ? { inst } : { row, column }; }
  same(a, b) { return "inst" in a ? a.inst === b.inst : this.maps.region(a).mask[b.row * this.maps.width + b.column]; }
  isSelected(thing) { return this.selection.some((other) => this.same(other, thing)); }
  toggled(thing) {
    if (!this.run.has_instances) return [thing];
    if (!this.isSelected(thing)) return [...this.selection, thing];
    return this.selection.filter((other) => !this.same(other, thing));
  }

  region(things) {
    if (this.run.has_instances) return { instances: things.map(({ inst }) => inst) };
    return { at: [things[0].row, things[0].column] };
  }

  labelOf(thing) {
    if ("row" in thing) return this.maps.at(thing.column, thing.row).label;
    return this.maps.label[this.maps.inst.indexOf(thing.inst)];
  }

  describe(label, inst) {
    const name = this.run.labels[label]?.name ?? `label ${label}`;
    if (inst === undefined || inst === label) return name;
    // As data sets number things.
    return `${name}, object ${Math.floor(inst / 1000) === label ? inst % 1000 + 1 : inst}`;
  }

  select(things) {
    this.selection = things;
    this.panels.showObject();
    this.showPaint();
    this.view.redraw();
  }

  /** Where things are: a row and column of each. */
  spotsOf(things) {
    return things.map((thing) => {
      if ("row" in thing) return [thing.row, thing.column];
      const i = this.maps.inst.indexOf(thing.inst);
      return [Math.floor(i / this.maps.width), i % this.maps.width];
    });
  }

  hover(found) {
    const before = this.hovered && JSON.stringify(this.hovered);
    this.hovered = found && !this.maps.isPicture ? this.thingAt(found) : null;
    if (this.hovered && !this.run.has_instances) this.hovered = this.hoveredAgain(found);
    const where = found ? `${found.column}, ${found.row}` : "";
    const what = found && !this.maps.isPicture ? `${this.describe(found.label, found.inst)}  ·  ` : "";
    $("hover").value = found ? what + where : "\u00a0";
    if (before !== (this.hovered && JSON.stringify(this.hovered))) this.view.redraw();
  }

  /** The region that was hovered before, if this is still the same: it takes long to find. */
  hoveredAgain(found) {
    const { maps, hovered: thing } = this, { version } = maps, region = this.hoveredRegion;
    const isSame = region?.version === version && region.mask[found.row * maps.width + found.column];
    if (!isSame) this.hoveredRegion = { thing, version, mask: maps.region(thing).mask };
    return this.hoveredRegion.thing;
  }

  /** What is now at places. */
  reselect(spots) {
    const found = spots.map(([row, column]) => this.maps.at(column, row)).filter(Boolean);
    this.select(unique(found.map((each) => this.thingAt(each))));
  }
}
