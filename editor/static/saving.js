// Files that the page makes itself, for when the program has gone and what it held with it.

const HEAD = 136; // bytes before the values

/** A TIFF of integers of 32 bits, one a pixel, which "Open file" takes. */
function tiff(values, width, height) {
  const tags = [
    [256, width], [257, height], [258, 32], [259, 1], [262, 1], // 32 bits, not compressed, 0 is black
    [273, HEAD], [277, 1], [278, height], [279, values.byteLength], [339, 2], // one strip, one channel, signed
  ];
  const head = new DataView(new ArrayBuffer(HEAD)), LONG = 4;
  [0x4949, 42, 8, 0, tags.length].forEach((value, i) => head.setUint16(2 * i, value, true));
  tags.forEach(([tag, value], i) => {
    const at = 10 + 12 * i;
    head.setUint16(at, tag, true);
    head.setUint16(at + 2, LONG, true);
    head.setUint32(at + 4, 1, true);
    head.setUint32(at + 8, value, true);
  });
  return new Blob([head, values], { type: "image/tiff" });
}

/** Names of the maps -> what saves them. */
export function savings(maps, name) {
  const save = (blob, file) => {
    const about = { href: URL.createObjectURL(blob), download: `${name || "scene"}_${file}` };
    const link = Object.assign(document.createElement("a"), about);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  if (maps.isPicture) return { "Save the drawing": () => maps.drawn.toBlob((blob) => save(blob, "label.png")) };
  const of = (kind) => () => save(tiff(maps[kind], maps.width, maps.height), `${kind}.tif`);
  const instances = maps.run.has_instances ? { "Save the instance map": of("inst") } : {};
  return { "Save the label map": of("label"), ...instances };
}
