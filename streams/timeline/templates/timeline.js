// Reads the charts at the moment under the pointer, or of the slider; without it the page has them as tables.
"use strict";
const names = JSON.parse(document.body.dataset.names);
const percent = value => `${Math.round(value / 2.55)}%`;

function clock(seconds, fine) {
  const all = fine ? Math.round(seconds * 100) / 100 : Math.round(seconds);
  const whole = Math.floor(all), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const two = number => String(number).padStart(2, "0");
  const text = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return fine ? `${text}.${two(Math.round((all - whole) * 100))}` : text;
}

function setUp(lanes) {
  const { start, width, columns } = lanes.dataset;
  const slider = lanes.querySelector("input"), output = lanes.querySelector("output");
  const fields = names.length + 3;
  let bytes;

  function span(column) {
    const from = +start + column * width;
    if ("images" in lanes.dataset) return +width === 1 ? `face ${from + 1}` : `faces ${from + 1} to ${from + +width}`;
    return `${clock(from, width < 1)} to ${clock(from + +width, width < 1)}`;
  }

  function text(column) {
    bytes ??= Uint8Array.from(atob(lanes.dataset.values), letter => letter.charCodeAt(0));
    const row = bytes.subarray(column * fields, (column + 1) * fields);
    if (!row[0]) return `${span(column)}: no face`;
    const shares = names.map((name, index) => [name, row[1 + index]]).sort((a, b) => b[1] - a[1]);
    const shown = shares.filter(([, share], index) => index < 1 || share >= 5).slice(0, 4);
    const parts = [shown.map(([name, share]) => `${name} ${percent(share)}`).join(", ")];
    if (!("noIntensity" in lanes.dataset)) parts.push(`intensity ${percent(row[fields - 2])}`);
    parts.push(`uncertainty ${percent(row[fields - 1])}`);
    if (row[0] < 250) parts.push(`seen ${percent(row[0])} of it`);
    return `${span(column)}: ${parts.join("; ")}`;
  }

  function show(column) {
    output.textContent = text(column);
    slider.value = column;
    slider.setAttribute("aria-valuetext", output.textContent);
    lanes.style.setProperty("--at", `${100 * (column + 0.5) / columns}%`);
  }

  slider.setAttribute("aria-valuetext", text(0));
  slider.addEventListener("input", () => show(+slider.value));
  for (const plot of lanes.querySelectorAll(".plot")) {
    plot.addEventListener("pointermove", event => {
      const box = plot.getBoundingClientRect();
      const column = Math.floor((event.clientX - box.left) / box.width * columns);
      show(Math.min(Math.max(column, 0), columns - 1));
    });
  }
  lanes.querySelector(".reader").hidden = output.hidden = false;
}

document.querySelectorAll(".lanes").forEach(setUp);
