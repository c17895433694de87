// The page: its buttons and files, and what connects its parts.

import { closeCamera, listCameras, openCamera } from "./camera.js";
import { closeFile, openFile } from "./files.js";
import { ProblemBox } from "./problem_box.js";
import { Problem } from "./problems.js";
import { Results } from "./results.js";
import { ServedModel } from "./served.js";
import { compare, model, predict } from "./server.js";
import { Viewer } from "./viewer.js";

const at = id => document.getElementById(id);
const served = new ServedModel();
const results = new Results();
const retry = new EventTarget();
const problems = new ProblemBox(retry, { camera: () => startCamera(), file: () => at("files").click() });
const viewer = new Viewer(document.querySelector("figure"), { ask, show, fail: problem => problems.show(problem), retry });
let files = [];
let place = 0;
let video = null;    // the camera's, while it is open

async function ask(frame, signal) {
  const answers = await predict(frame.image, served.mostFaces, signal);
  const latency = performance.now() - frame.taken;
  const engines = at("compare").checked ? await compare(frame.image, signal) : [];
  if (served.seen(answers[0].model_hash)) introduce();
  // Without a face, the answer is about the center of the image, and nobody asked for that.
  return { faces: answers.filter(face => face.status !== "no_face"), engines, latency };
}

function show(frame, answer) {
  problems.clear();
  results.show(answer, hash => served.name(hash));
}

function close() {
  viewer.close();
  results.clear();
  problems.clear();
  video = null;
  at("start").textContent = "Start camera";
  at("pause").hidden = at("cameras").hidden = at("several").hidden = true;
  at("empty").hidden = false;
}

function open(caption, load, accepted = () => {}) {
  close();
  return viewer.open(caption, load, opened => {
    at("empty").hidden = true;
    accepted(opened);
  });
}

// id: of a camera, "" takes the one that faces the visitor.
function startCamera(id = "") {
  return open("Camera", () => loadCamera(id), offerControls);
}

async function loadCamera(id) {
  const stream = await openCamera(id, () => { close(); problems.show(new Problem("camera-gone")); });
  const element = document.createElement("video");
  Object.assign(element, { muted: true, playsInline: true, srcObject: stream });
  element.setAttribute("aria-label", "Camera");
  try {
    await element.play();
    return { element, image: null, isCamera: true, cameras: await listCameras(), close: () => closeCamera(stream) };
  } catch {
    closeCamera(stream);
    throw new Problem("camera-busy");
  }
}

function offerControls({ element, cameras }) {
  video = element;
  at("start").textContent = "Stop camera";
  at("pause").textContent = "Pause";
  at("pause").hidden = false;
  const select = at("cameras").querySelector("select");
  select.replaceChildren(...cameras.map(({ label, deviceId }) => new Option(label, deviceId)));
  select.value = video.srcObject.getVideoTracks()[0].getSettings().deviceId;
  at("cameras").hidden = cameras.length < 2;
}

function openFiles(list) {
  if (!list.length) return;
  files = [...list];
  openPlace(0);
}

function openPlace(index) {
  place = index;
  const file = files[place];
  const opened = open(file.name, async () => {
    const { element, image } = await openFile(file);
    return { element, image, close: () => closeFile(element) };
  });
  at("several").hidden = files.length < 2;
  at("place").textContent = `${place + 1} of ${files.length}`;
  const [previous, next] = [at("previous"), at("next")];
  const isFocused = [previous, next].includes(document.activeElement);
  previous.disabled = place === 0;
  next.disabled = place === files.length - 1;
  // A disabled button would lose the keyboard's place.
  if (isFocused) (next.disabled ? previous : previous.disabled ? next : document.activeElement).focus();
  return opened;
}

async function introduce() {
  try {
    const facts = await model();
    served.facts = facts;
    at("compare-choice").hidden = !facts.engines.length;
    problems.clear();
  } catch (problem) {
    problems.show(problem);
    if (problem.again !== null) setTimeout(introduce, 1000 * problem.again);
    else retry.addEventListener("retry", introduce, { once: true });
  }
}

at("start").addEventListener("click", () => video ? close() : startCamera());
at("cameras").addEventListener("change", event => startCamera(event.target.value));
at("pause").addEventListener("click", () => {
  if (video.paused) video.play();
  else video.pause();
  at("pause").textContent = video.paused ? "Go on" : "Pause";
});
at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", () => {
  openFiles(at("files").files);
  // The same files can be chosen again.
  at("files").value = "";
});
at("previous").addEventListener("click", () => openPlace(place - 1));
at("next").addEventListener("click", () => openPlace(place + 1));
at("heat").addEventListener("change", () => { viewer.showsWeights = at("heat").checked; });
at("compare").addEventListener("change", () => viewer.refresh());
addEventListener("dragover", event => {
  event.preventDefault();
  at("stage").classList.add("over");
});
addEventListener("dragleave", () => at("stage").classList.remove("over"));
addEventListener("drop", event => {
  event.preventDefault();
  at("stage").classList.remove("over");
  openFiles(event.dataTransfer.files);
});
addEventListener("paste", event => openFiles(event.clipboardData.files));

introduce();
