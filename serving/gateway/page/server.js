// The gateway: one request at a time, spaced so that they stay below its rate.

import { Problem } from "./problems.js";

let key = "";
let gap = 0;
let earliest = 0;

export function setKey(value) {
  key = value;
}

export async function model() {
  const facts = await request("/page/model", { method: "GET" });
  // A little slower than it allows: its clock is another.
  gap = 1100 / facts.rate;
  return facts;
}

export async function predict(image, mostFaces, signal) {
  const answer = await request(`/v1/predict?max_faces=${mostFaces}`, { method: "POST", body: image, signal });
  return answer.predictions;
}

export async function compare(image, signal) {
  return (await request("/page/engines", { method: "POST", body: image, signal })).engines;
}

async function request(path, options) {
  await turn();
  options.signal?.throwIfAborted();
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let answer, content;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "omit" });
    content = await answer.json();
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Problem("away", "", 1);
  }
  if (answer.ok) return content;
  throw refusal(answer, content.error);
}

function turn() {
  const now = performance.now();
  const wait = earliest - now;
  earliest = Math.max(now, earliest) + gap;
  return wait > 0 ? new Promise(done => setTimeout(done, wait)) : undefined;
}

function refusal(answer, text) {
  const seconds = Number(answer.headers.get("Retry-After")) || 1;
  switch (answer.status) {
    case 401: return new Problem("key");
    case 413: return new Problem("large", text);
    case 422: return new Problem("refused", text);
    case 429: return new Problem("limit", seconds, seconds);
    case 502: return new Problem("model", text, 1);
    case 503: return new Problem("busy", text, seconds);
    case 504: return new Problem("slow", text, 1);
    default: return new Problem("failed", `${answer.status} ${text}`, 2);
  }
}
