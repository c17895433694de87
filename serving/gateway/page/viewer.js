// What is open: a camera, an image or a video, with its overlay; one at a time.

import { StillImage, VideoFrames } from "./frames.js";
import { follow } from "./loop.js";
import { Overlay } from "./overlay.js";
import { asProblem } from "./problems.js";

export class Viewer {
  #overlay;
  #ending = new AbortController();
  #close = () => {};
  #source = null;
  #screen = null;

  // figure: has the view and a caption; handlers: ask, show, fail and retry of the loop.
  constructor(figure, handlers) {
    this.figure = figure;
    this.handlers = handlers;
    this.view = figure.querySelector("div");
    this.#overlay = new Overlay(this.view);
  }

  // load(): gives { element, image, isCamera, close } or throws a Problem; what was open is closed first.
  // accepted(opened): called unless something else was opened meanwhile.
  async open(caption, load, accepted) {
    this.close();
    const { signal } = this.#ending = new AbortController();
    let opened;
    try {
      opened = await load();
    } catch (error) {
      if (!signal.aborted) this.handlers.fail(asProblem(error));
      return;
    }
    if (signal.aborted) {
      opened.close();
      return;
    }
    accepted(opened);
    this.#close = opened.close;
    this.#source = opened.image ? new StillImage(opened.image, opened.element) : new VideoFrames(opened.element);
    // A camera goes on while a frame is answered: boxes belong on that frame.
    this.#screen = opened.isCamera ? document.createElement("canvas") : null;
    this.#place(opened.element, caption);
    await follow(this.#source, { ...this.handlers, show: (frame, answer) => this.#show(frame, answer), signal });
  }

  close() {
    this.#ending.abort();
    this.#close();
    this.#close = () => {};
    this.#source = null;
    this.#overlay.show(null, []);
    this.view.replaceChildren();
    this.figure.hidden = true;
  }

  // Asks again about what is shown.
  refresh() {
    this.#source?.refresh();
  }

  set showsWeights(value) {
    this.#overlay.showsWeights = value;
  }

  #place(element, caption) {
    const ratio = (element.naturalWidth || element.videoWidth) / (element.naturalHeight || element.videoHeight);
    this.view.style.setProperty("--ratio", ratio);
    this.view.replaceChildren(element, ...(this.#screen ? [this.#screen] : []), this.#overlay.svg);
    this.figure.querySelector("figcaption").textContent = caption;
    this.figure.hidden = false;
  }

  #show(frame, answer) {
    if (this.#screen) this.#source.drawOn(this.#screen);
    this.#overlay.show(frame, answer.faces);
    this.handlers.show(frame, answer);
  }
}
