// Asks about one frame after the other: the next is taken when the last is answered, so that nothing queues.

// ask(frame, signal) answers or throws a Problem. It ends when signal is aborted.
export async function follow(source, { ask, show, fail, signal, retry }) {
  while (!signal.aborted) {
    const frame = await source.next(signal);
    if (frame === null) return;
    try {
      const answer = await ask(frame, signal);
      source.answered();
      show(frame, answer);
    } catch (problem) {
      if (signal.aborted) return;
      fail(problem);
      if (problem.again === null && problem.kind !== "key") source.answered();
      else await pause(problem.again, signal, retry);
    }
  }
}

// Waits for seconds, null for ever, or until the visitor wants to try again.
function pause(seconds, signal, retry) {
  return new Promise(done => {
    const timer = seconds === null ? undefined : setTimeout(done, 1000 * seconds);
    const stop = () => { clearTimeout(timer); done(); };
    signal.addEventListener("abort", stop, { once: true });
    retry.addEventListener("retry", stop, { once: true });
  });
}
