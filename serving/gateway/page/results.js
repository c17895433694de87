// What the server says: cards of faces, latencies, and words for screen readers.

import { Announcer } from "./announcer.js";
import { faceCard } from "./faces.js";
import { Figures } from "./figures.js";
import { updateChildren } from "./update.js";

const at = id => document.getElementById(id);

export class Results {
  #announcer = new Announcer(at("announcer"));
  #figures = new Figures();
  #times = new Map();

  clear() {
    this.#figures = new Figures();
    this.#times.clear();
    at("faces").replaceChildren();
    at("figures").hidden = at("figures-note").hidden = at("engine-times").hidden = true;
    this.#tell("No image yet.");
  }

  // answer: { faces, engines, latency }; name(hash) names what serves.
  show({ faces, engines, latency }, name) {
    this.#figures.add(latency, performance.now());
    this.#showFigures();
    for (const { engine, milliseconds } of engines) this.#time(engine).add(milliseconds, performance.now());
    this.#showTimes(engines.length > 0);
    updateChildren(at("faces"), faces.map((face, index) => {
      const others = engines.map(({ engine, predictions }) => ({ name: engine, face: predictions[index] }));
      // The served engine answers in the gateway's process as it does in the server.
      const compared = others.filter(other => other.face && other.face.model_hash !== face.model_hash);
      return faceCard(index, [{ name: `${name(face.model_hash)}, served`, face }, ...compared]);
    }));
    this.#tell(faces.length ? "" : "No face found in this image.");
    this.#announcer.update(inWords(faces));
  }

  #time(engine) {
    if (!this.#times.has(engine)) this.#times.set(engine, new Figures());
    return this.#times.get(engine);
  }

  #showFigures() {
    const figures = this.#figures;
    at("p50").textContent = `${figures.quantile(0.5).toFixed(0)} ms`;
    at("p95").textContent = `${figures.quantile(0.95).toFixed(0)} ms`;
    at("rate").textContent = Number.isFinite(figures.rate) ? figures.rate.toFixed(1) : "–";
    at("count").textContent = figures.count === 1 ? "1 answer" : `the last ${figures.count} answers`;
    at("figures").hidden = at("figures-note").hidden = false;
  }

  #showTimes(compared) {
    at("engine-times").hidden = !compared;
    const times = [...this.#times].map(([engine, figures]) => `${engine} ${figures.quantile(0.5).toFixed(1)} ms`);
    at("engine-times").textContent = `Median time of each engine alone, for all faces, in the gateway's process: ${times.join(", ")}`;
  }

  #tell(text) {
    at("none").textContent = text;
    at("none").hidden = !text;
  }
}

function inWords(faces) {
  if (!faces.length) return "No face";
  const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  return `${count}: ${faces.map(face => face.label).join(", ")}`;
}
