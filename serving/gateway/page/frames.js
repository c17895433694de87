// Images to ask about: one file, or the frames of a playing video or camera.
//
// next() gives { image, width, height, taken } once there is something new; what was not answered is given again.

const LONGEST_SIDE = 1280;
const QUALITY = 0.9;

class Source {
  #isNew = true;
  #wake = () => {};
  #signal = null;

  async next(signal) {
    if (this.#signal !== signal) {
      this.#signal = signal;
      signal.addEventListener("abort", () => this.#wake(), { once: true });
    }
    while (!(this.#isNew && this.ready()) && !signal.aborted) {
      await new Promise(done => {
        this.#wake = done;
        this.watch(() => this.refresh(), signal);
      });
    }
    return signal.aborted ? null : this.take();
  }

  answered() {
    this.#isNew = false;
  }

  refresh() {
    this.#isNew = true;
    this.#wake();
  }
}

export class StillImage extends Source {
  // image: a JPEG or PNG file; element: where it is shown.
  constructor(image, element) {
    super();
    this.image = image;
    this.element = element;
  }

  ready() {
    return true;
  }

  watch() {}

  take() {
    const { naturalWidth: width, naturalHeight: height } = this.element;
    return { image: this.image, width, height, taken: performance.now() };
  }
}

export class VideoFrames extends Source {
  #canvas = document.createElement("canvas");
  #watched = false;

  constructor(element) {
    super();
    this.element = element;
  }

  ready() {
    return this.element.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  watch(changed, signal) {
    if (this.#watched) return;
    this.#watched = true;
    nextFrame(this.element, signal, () => {
      this.#watched = false;
      changed();
    });
  }

  take() {
    const { videoWidth, videoHeight } = this.element;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(videoWidth, videoHeight));
    const width = this.#canvas.width = Math.round(videoWidth * scale);
    const height = this.#canvas.height = Math.round(videoHeight * scale);
    const taken = performance.now();
    this.#canvas.getContext("2d").drawImage(this.element, 0, 0, width, height);
    return new Promise(done => {
      this.#canvas.toBlob(image => done({ image, width, height, taken }), "image/jpeg", QUALITY);
    });
  }

  // Shows the frame that was taken last.
  drawOn(canvas) {
    canvas.width = this.#canvas.width;
    canvas.height = this.#canvas.height;
    canvas.getContext("2d").drawImage(this.#canvas, 0, 0);
  }
}

function nextFrame(video, signal, done) {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(done);
    return;
  }
  const time = video.currentTime;
  const look = () => {
    if (video.currentTime !== time) done();
    else if (!signal.aborted) requestAnimationFrame(look);
  };
  look();
}
