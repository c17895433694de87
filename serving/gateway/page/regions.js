// The weights of a face's regions as a table, in the regions' places.

import { weightColor, weightText } from "./colors.js";

export function regionMap(weights, title) {
  const table = document.createElement("table");
  table.className = "regions";
  table.createCaption().textContent = title;
  const peak = Math.max(...weights.flat());
  for (const row of weights) {
    const line = table.insertRow();
    for (const weight of row) {
      const cell = line.insertCell();
      const { background, text } = weightColor(weight / peak);
      cell.textContent = weightText(weight);
      cell.style.background = background;
      cell.style.color = text;
    }
  }
  return table;
}
