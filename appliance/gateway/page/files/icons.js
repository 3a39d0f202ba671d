// The pictures on buttons, as paths in a square of 24: drawn here, they need no requests of their own.

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  again: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15",
  attach:
    "M19.5 11.5l-7.3 7.3a4.5 4.5 0 0 1-6.4-6.4l7.6-7.6a3 3 0 0 1 4.2 4.2l-7.5 7.5a1.5 1.5 0 0 1-2.1-2.1l6.7-6.7",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  continue: "M5 6.5l7 5.5-7 5.5zM13 6.5l7 5.5-7 5.5z",
  copy:
    "M11 8.5h6a2.5 2.5 0 0 1 2.5 2.5v6.5A2.5 2.5 0 0 1 17 20h-6a2.5 2.5 0 0 1-2.5-2.5V11A2.5 2.5 0 0 1 11 8.5z" +
    "M15.5 8.5V6.5A2.5 2.5 0 0 0 13 4H7a2.5 2.5 0 0 0-2.5 2.5V13A2.5 2.5 0 0 0 7 15.5h1.5",
  delete: "M5 7h14M10 4.5h4M7 7l.7 11a2 2 0 0 0 2 1.9h4.6a2 2 0 0 0 2-1.9L17 7M10.5 11v5M13.5 11v5",
  down: "M12 5v13.5M6 13l6 6 6-6",
  download: "M12 4.5V15M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14",
  edit: "M4.5 19.5l1-4L16 5a2.1 2.1 0 0 1 3 3L8.5 18.5zM14 7l3 3",
  list: "M6.5 4.5h11a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3h-11a3 3 0 0 1-3-3v-9a3 3 0 0 1 3-3zM9.5 4.5v15",
  new:
    "M12 4.5H7a3 3 0 0 0-3 3V17a3 3 0 0 0 3 3h9.5a3 3 0 0 0 3-3v-5" +
    "M10 14l.6-2.8 7.4-7.4 2.2 2.2-7.4 7.4z",
  send: "M12 19V5.5M6 11l6-6 6 6",
  settings:
    "M4 7.5h9M17 7.5h3M4 16.5h3M11 16.5h9" +
    "M17 7.5a2 2 0 1 1-4 0a2 2 0 1 1 4 0M11 16.5a2 2 0 1 1-4 0a2 2 0 1 1 4 0",
  stop: "M8 7h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1z",
};

/** Creates a picture. */
export function icon(name) {
  return draw(document.createElementNS(SVG, "svg"), name);
}

/** Makes a picture another one. */
export function draw(picture, name) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  picture.setAttribute("class", `icon ${name}`);
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  picture.replaceChildren(path);
  return picture;
}
