// Tells screen readers what is seen, when it changes, and not more often than one can listen.

const GAP_MILLISECONDS = 4000;

export class Announcer {
  #said = "";
  #wanted = "";
  #free = 0;
  #timer = null;

  constructor(element) {
    this.element = element;
  }

  // At once; what waited is dropped.
  say(text) {
    this.#wanted = text;
    this.#speak();
  }

  // When the last words had their time, if it still differs from them.
  update(text) {
    this.#wanted = text;
    this.#timer ??= setTimeout(() => this.#speak(), Math.max(0, this.#free - performance.now()));
  }

  #speak() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#wanted === this.#said) return;
    this.#said = this.element.textContent = this.#wanted;
    this.#free = performance.now() + GAP_MILLISECONDS;
  }
}
