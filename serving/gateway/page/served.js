// Which model serves, by the hash that every answer carries.

const at = id => document.getElementById(id);
const SHOWN_DIGITS = 12;

export class ServedModel {
  #facts = null;
  #hash = "";

  set facts(facts) {
    this.#facts = facts;
    this.#hash = "";
    this.seen(facts.model_hash);
  }

  get mostFaces() {
    return this.#facts?.most_faces ?? 1;
  }

  // Another one may serve from one answer to the next; returns whether its facts are to be asked for.
  seen(hash) {
    // Without facts they have been asked for already.
    if (this.#facts === null || hash === this.#hash) return false;
    this.#hash = hash;
    at("serves").textContent = `Served by ${this.name(hash)}, model hash ${hash.slice(0, SHOWN_DIGITS)}`;
    at("about").replaceChildren(...this.#about());
    return hash !== this.#facts.model_hash;
  }

  name(hash) {
    const engine = this.#facts?.engines.find(({ model_hash }) => model_hash === hash);
    return engine ? engine.name : "a model";
  }

  #about() {
    const { class_names, grid, license, preprocessing_id, engines, body_bytes, rate } = this.#facts;
    const entries = {
      "Model hash, SHA-256": this.#hash,
      "Preprocessing": preprocessing_id,
      "Classes": class_names.join(", "),
      "Regions of a face": `${grid} × ${grid}`,
      "License of the training data": license || "not stated",
      "Engines of the bundle that run here": engines.map(({ name }) => name).join(", ") || "not known to this gateway",
      "Limits": `${rate} requests a second, image files up to ${(body_bytes / 2 ** 20).toFixed(0)} MiB`,
    };
    return Object.entries(entries).flatMap(([title, text]) => {
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = title;
      value.textContent = text;
      return [term, value];
    });
  }
}
