// The one place where the page says what is wrong, with a button as the way out.

import { setKey } from "./server.js";

const at = id => document.getElementById(id);

export class ProblemBox {
  #act = () => {};

  // retry: gets the event "retry"; ways: what else a button does, camera() and file().
  constructor(retry, ways) {
    this.ways = { ...ways, again: () => retry.dispatchEvent(new Event("retry")) };
    at("problem").querySelector("button").addEventListener("click", () => this.#act());
    at("key-form").addEventListener("submit", event => {
      event.preventDefault();
      setKey(at("key").value);
      this.clear();
      this.ways.again();
    });
  }

  show(problem) {
    const [text, way] = wayOut(problem.kind);
    this.#act = this.ways[way];
    const [words, button] = [at("problem").querySelector("p"), at("problem").querySelector("button")];
    button.hidden = problem.kind === "key";
    button.textContent = text;
    at("key-form").hidden = problem.kind !== "key";
    // Said once, not at every try.
    if (words.textContent !== problem.message) words.textContent = problem.message;
    at("problem").hidden = false;
  }

  clear() {
    at("problem").hidden = at("key-form").hidden = true;
    at("problem").querySelector("p").textContent = "";
  }
}

function wayOut(kind) {
  if (kind.startsWith("camera")) return ["Try again", "camera"];
  if (["no-image", "no-video", "refused", "large"].includes(kind)) return ["Choose another", "file"];
  return ["Try now", "again"];
}
