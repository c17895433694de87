// Latencies and rate of the last answers.

const KEPT = 100;
const RATE_MILLISECONDS = 3000;

export class Figures {
  #latencies = [];
  #times = [];

  add(latency, now) {
    this.#latencies.push(latency);
    this.#times.push(now);
    if (this.#latencies.length > KEPT) this.#latencies.shift();
    while (this.#times[0] < now - RATE_MILLISECONDS) this.#times.shift();
  }

  get count() {
    return this.#latencies.length;
  }

  // The smallest latency that is not exceeded by the given share of the answers, in milliseconds.
  quantile(share) {
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }

  // Answers a second; NaN before there are two.
  get rate() {
    const times = this.#times;
    return 1000 * (times.length - 1) / (times.at(-1) - times[0]);
  }
}
