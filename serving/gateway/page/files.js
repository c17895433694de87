// Files of the visitor, shown by the browser.

import { Problem } from "./problems.js";

// Returns { element, image }: an img with the bytes to send, or a video, which has no image.
export async function openFile(file) {
  const url = URL.createObjectURL(file);
  try {
    return file.type.startsWith("video/") ? await openVideo(file, url) : await openImage(file, url);
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}

export function closeFile(element) {
  const url = element.src;
  element.removeAttribute("src");
  element.load?.();
  URL.revokeObjectURL(url);
}

async function openImage(file, url) {
  const element = new Image();
  element.alt = file.name;
  element.src = url;
  try {
    await element.decode();
  } catch {
    throw new Problem("no-image", file.name);
  }
  return { element, image: (await isJpegOrPng(file)) ? file : await asPng(element) };
}

async function openVideo(file, url) {
  const element = document.createElement("video");
  const autoplay = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  Object.assign(element, { controls: true, muted: true, playsInline: true, autoplay });
  element.setAttribute("aria-label", file.name);
  await new Promise((done, failed) => {
    element.addEventListener("loadeddata", done, { once: true });
    element.addEventListener("error", () => failed(new Problem("no-video", file.name)), { once: true });
    element.src = url;
  });
  if (!element.videoWidth) throw new Problem("no-video", file.name);
  return { element, image: null };
}

async function isJpegOrPng(file) {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return (first === 0xff && second === 0xd8) || (first === 0x89 && second === 0x50);
}

// The server takes JPEG and PNG only.
function asPng(element) {
  const canvas = document.createElement("canvas");
  canvas.width = element.naturalWidth;
  canvas.height = element.naturalHeight;
  canvas.getContext("2d").drawImage(element, 0, 0);
  return new Promise(done => canvas.toBlob(done, "image/png"));
}
