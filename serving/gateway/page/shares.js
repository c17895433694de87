// The probabilities of a face's classes: of one engine, or of several side by side.

const MISSING = "–";

// share: NaN where an engine has no such class.
export function percent(share, digits = 1) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)}%` : MISSING;
}

export function shareTable(answers) {
  const [{ face: served }] = answers;
  const table = document.createElement("table");
  table.className = "shares";
  const several = answers.length > 1;
  if (several) addHead(table, answers.map(answer => answer.name));
  const body = table.createTBody();
  for (const name of Object.keys(served.probabilities)) {
    const row = addRow(body, name, answers.map(({ face }) => percent(face.probabilities[name] ?? NaN)));
    answers.forEach(({ face }, column) => {
      const cell = row.cells[column + 1];
      cell.style.setProperty("--share", percent(face.probabilities[name] ?? 0));
      cell.classList.toggle("most", face.label === name);
    });
  }
  if (several) addDifferences(table.createTFoot(), answers);
  return table;
}

function addHead(table, names) {
  const row = table.createTHead().insertRow();
  for (const name of ["", ...names]) {
    const cell = name ? document.createElement("th") : document.createElement("td");
    if (name) cell.scope = "col";
    cell.textContent = name;
    row.append(cell);
  }
}

function addRow(section, name, texts) {
  const row = section.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  for (const text of texts) row.insertCell().textContent = text;
  return row;
}

function addDifferences(section, answers) {
  const [{ face: served }, ...others] = answers;
  const compared = (title, values) => addRow(section, title, ["", ...others.map(({ face }) => values(face))]);
  compared("label", face => face.label === served.label ? "same" : face.label);
  const names = Object.keys(served.probabilities);
  compared("probabilities differ by", face => {
    return percent(largest(names.map(name => served.probabilities[name] - face.probabilities[name])), 2);
  });
  compared("weights differ by", face => {
    const [some, others] = [served, face].map(({ region_weights }) => region_weights.flat());
    return percent(some.length === others.length ? largest(some.map((weight, index) => weight - others[index])) : NaN, 2);
  });
}

function largest(differences) {
  return Math.max(...differences.map(Math.abs));
}
