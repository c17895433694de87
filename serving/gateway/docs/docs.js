"use strict";

const at = id => document.getElementById(id);
const figure = document.querySelector("figure");
const table = document.querySelector("table");
const details = document.querySelector("details");

document.querySelectorAll(".origin").forEach(span => { span.textContent = location.origin; });

function say(text, isError = false) {
  at("state").textContent = text;
  at("state").classList.toggle("error", isError);
}

function clear() {
  figure.hidden = table.hidden = details.hidden = true;
  figure.querySelectorAll(".box").forEach(box => box.remove());
  table.tBodies[0].replaceChildren();
}

async function show(file, faces) {
  URL.revokeObjectURL(at("preview").src);
  at("preview").src = URL.createObjectURL(file);
  await at("preview").decode();
  const { naturalWidth: width, naturalHeight: height } = at("preview");
  faces.forEach((face, index) => {
    const [left, top, right, bottom] = face.face_box;
    const box = document.createElement("div");
    box.className = "box";
    box.style.left = `${100 * left / width}%`;
    box.style.top = `${100 * top / height}%`;
    box.style.width = `${100 * (right - left) / width}%`;
    box.style.height = `${100 * (bottom - top) / height}%`;
    figure.append(box);
    const row = table.tBodies[0].insertRow();
    const share = (100 * face.probabilities[face.label]).toFixed(1) + "%";
    for (const text of [index + 1, face.label, share, face.status]) row.insertCell().textContent = text;
  });
  figure.hidden = table.hidden = details.hidden = false;
}

at("form").addEventListener("submit", async event => {
  event.preventDefault();
  clear();
  say("Asking …");
  const [file] = at("image").files;
  const form = new FormData();
  form.append("image", file);
  const headers = at("key").value ? { Authorization: `Bearer ${at("key").value}` } : {};
  try {
    const query = at("every").checked ? "?max_faces=100" : "";
    const answer = await fetch("/v1/predict" + query, { method: "POST", body: form, headers });
    const content = await answer.json();
    if (!answer.ok) {
      say(`${answer.status}: ${content.error}`, true);
      return;
    }
    at("answer").textContent = JSON.stringify(content, null, 2);
    await show(file, content.predictions);
    say(`${content.predictions.length} answered`);
  } catch (error) {
    say(`No answer: ${error.message}`, true);
  }
});
