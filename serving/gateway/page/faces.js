// A card for each face: label, status, and what each engine says of it.

import { regionMap } from "./regions.js";
import { percent, shareTable } from "./shares.js";

const STATUSES = {
  ok: "face found",
  too_small: "the face is small: the answer is uncertain",
  low_score: "the finder is not sure that this is a face",
};

// answers: [{ name, face }, ...] of one face, the served one first.
export function faceCard(index, answers) {
  const { face } = answers[0];
  const card = document.createElement("li");
  card.className = "face";
  const title = document.createElement("h3");
  title.textContent = `${index + 1} ${face.label} ${percent(face.probabilities[face.label])}`;
  const status = document.createElement("p");
  status.className = "quiet";
  status.textContent = STATUSES[face.status] ?? face.status;
  if (face.face_score !== null) status.textContent += `, score ${face.face_score.toFixed(2)}`;
  const content = document.createElement("div");
  content.className = "answers";
  const maps = document.createElement("div");
  maps.className = "maps";
  const several = answers.length > 1;
  maps.append(...answers.map(({ name, face }) => {
    return regionMap(face.region_weights, several ? name : "Region weights");
  }));
  content.append(shareTable(answers), maps);
  card.append(title, status, content);
  return card;
}
