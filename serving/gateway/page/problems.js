// What can go wrong, in plain words, each with a way out.

export class Problem extends Error {
  // kind: a name of WORDS. again: seconds until the same is tried again; null waits for the visitor.
  constructor(kind, detail = "", again = null) {
    super((WORDS[kind] ?? WORDS.failed)(detail));
    this.kind = kind;
    this.again = again;
  }
}

// A fault of the page itself is told like any other.
export function asProblem(error) {
  return error instanceof Problem ? error : new Problem("broken", error.message);
}

const WORDS = {
  "camera-refused": () => "This page may not use the camera. Allow it beside the address of the page, then start the camera again; or choose an image.",
  "camera-missing": () => "There is no camera. Connect one and try again, or choose an image.",
  "camera-busy": () => "The camera cannot be opened: another program may be using it. Close that, then try again.",
  "camera-gone": () => "The camera is gone. Connect it again, then start it.",
  "camera-insecure": () => `Browsers open a camera on https:// addresses and on localhost only. Open http://localhost:${location.port || 80}/page on the machine of the server, or give the gateway a certificate. Images and videos work here.`,
  "no-image": name => `${name} is no image or video that this browser can show. Choose a JPEG, PNG, MP4 or WebM file.`,
  "no-video": name => `This browser cannot play ${name}. Convert it to MP4 (H.264) or WebM.`,
  refused: text => `The server refused the image: ${text}. Choose another.`,
  large: text => `The image file is too large: ${text}. Save it with fewer pixels.`,
  key: () => "This gateway asks for an API key. Enter one below; whoever runs the gateway has it.",
  limit: seconds => `Too many requests for this gateway. It goes on in ${seconds} s; close other pages that ask it.`,
  away: () => "The gateway does not answer. Start it again (`lnlattennet serve BUNDLE --page`); this page goes on by itself.",
  model: () => "The gateway answers, but the model behind it does not: it may be starting. This page goes on by itself.",
  busy: () => "The server is overloaded. This page goes on by itself.",
  slow: () => "The model took too long. This page tries again by itself.",
  broken: text => `This page failed: ${text}. Load it again.`,
  failed: text => `The gateway could not answer: ${text}. Its log says more.`,
};
