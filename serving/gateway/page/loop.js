// Asks about one frame after the other: the next is taken when the last is answered, so that nothing queues.

import { asProblem } from "./problems.js";

// ask(frame, signal) answers or throws a Problem. It ends when signal is aborted.
export async function follow(source, { ask, show, fail, signal, retry }) {
  while (!signal.aborted) {
    const frame = await source.next(signal);
    if (frame === null) return;
    try {
      const answer = await ask(frame, signal);
      source.answered();
      show(frame, answer);
    } catch (error) {
      if (signal.aborted) return;
      const problem = asProblem(error);
      fail(problem);
      if (problem.again === null && problem.kind !== "key") source.answered();
      else await pause(problem.again, signal, retry);
    }
  }
}

// Waits for seconds, null for ever, or until the visitor wants to try again.
function pause(seconds, signal, retry) {
  return new Promise(done => {
    const over = new AbortController();
    const end = () => { clearTimeout(timer); over.abort(); done(); };
    const timer = seconds === null ? undefined : setTimeout(end, 1000 * seconds);
    signal.addEventListener("abort", end, { signal: over.signal });
    retry.addEventListener("retry", end, { signal: over.signal });
  });
}
