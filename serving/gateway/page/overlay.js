// Boxes, labels and region weights over an image, as SVG in the image's own pixels.

import { weightColor, weightText } from "./colors.js";

const FAINTEST = 0.15, STRONGEST = 0.55;
const SMALLEST_NUMBERED_CELL = 36;
const SMALLEST_TEXT = 10, LARGEST_TEXT = 14;

export class Overlay {
  #frame = null;
  #faces = [];
  #showsWeights = true;

  // view: the element that holds the image, at its size on the screen.
  constructor(view) {
    this.view = view;
    this.svg = make("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    new ResizeObserver(() => this.#draw()).observe(view);
  }

  show(frame, faces) {
    this.#frame = frame;
    this.#faces = faces;
    this.#draw();
  }

  set showsWeights(value) {
    this.#showsWeights = value;
    this.#draw();
  }

  #draw() {
    const pixel = this.#frame ? this.#frame.width / this.view.clientWidth : 0;
    if (!(pixel > 0 && Number.isFinite(pixel))) {
      this.svg.replaceChildren();
      return;
    }
    const { width, height } = this.#frame;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const peak = Math.max(...this.#faces.flatMap(face => face.region_weights.flat()));
    const cells = this.#showsWeights ? this.#faces.flatMap(face => weights(face, peak, pixel)) : [];
    const boxes = this.#faces.map(face => box(face, pixel));
    const names = this.#faces.map((face, index) => name(face, index, pixel));
    this.svg.replaceChildren(...cells, ...boxes, ...names);
  }
}

function weights(face, peak, pixel) {
  const [left, top, right, bottom] = face.face_box;
  const count = face.region_weights.length;
  const [width, height] = [(right - left) / count, (bottom - top) / count];
  const numbered = width / pixel >= SMALLEST_NUMBERED_CELL;
  return face.region_weights.flatMap((row, y) => row.map((weight, x) => {
    const corner = { x: left + x * width, y: top + y * height };
    const cell = make("g", { class: "cell" });
    cell.append(make("rect", {
      ...corner, width, height, fill: weightColor(weight / peak).background,
      "fill-opacity": FAINTEST + (STRONGEST - FAINTEST) * weight / peak,
      stroke: "#fafafa", "stroke-opacity": 0.3, "stroke-width": pixel,
    }));
    if (numbered) cell.append(label(weightText(weight), corner.x + width / 2, corner.y + height / 2, 11 * pixel, "middle"));
    return cell;
  }));
}

function box(face, pixel) {
  const [left, top, right, bottom] = face.face_box;
  const group = make("g", { class: "box" });
  const line = { x: left, y: top, width: right - left, height: bottom - top, fill: "none" };
  const dashes = face.status === "ok" ? {} : { "stroke-dasharray": `${8 * pixel} ${6 * pixel}` };
  group.append(make("rect", { ...line, stroke: "#12101a", "stroke-width": 5 * pixel }));
  group.append(make("rect", { ...line, stroke: "#fafafa", "stroke-width": 2.5 * pixel, ...dashes }));
  return group;
}

function name(face, index, pixel) {
  const [left, top, right] = face.face_box;
  const text = `${index + 1} ${face.label} ${Math.round(100 * face.probabilities[face.label])}%`;
  const size = Math.min(Math.max((right - left) / 10, SMALLEST_TEXT * pixel), LARGEST_TEXT * pixel);
  // Above the box, or inside it at the upper edge of the image.
  const y = top > 1.5 * size ? top - 0.45 * size : top + 1.1 * size;
  return label(text, left + 0.3 * size, y, size, "start");
}

function label(text, x, y, size, anchor) {
  const node = make("text", {
    x, y, "font-size": size, "text-anchor": anchor, fill: "#fafafa", "font-family": "system-ui, sans-serif",
    stroke: "#12101a", "stroke-width": size / 4, "stroke-linejoin": "round", "paint-order": "stroke",
    "dominant-baseline": anchor === "middle" ? "central" : "auto", "font-weight": 600,
  });
  node.textContent = text;
  return node;
}

function make(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
