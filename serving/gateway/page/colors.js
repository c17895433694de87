// Colors of region weights: from dark violet over green to bright yellow, as overlays of the package have them.

const STOPS = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];
const INK = "#12101a";
const PAPER = "#fafafa";

// share: of the largest weight, 0 to 1.
export function weightColor(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const index = Math.min(Math.floor(place), STOPS.length - 2);
  const color = STOPS[index].map((value, channel) => {
    return Math.round(value + (place - index) * (STOPS[index + 1][channel] - value));
  });
  const isLight = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 128;
  return { background: `rgb(${color.join(" ")})`, text: isLight ? INK : PAPER };
}

export function weightText(weight) {
  return weight.toFixed(3).replace(/^0/, "");
}
