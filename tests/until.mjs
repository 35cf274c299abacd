// How every test waits: for a condition, with a deadline, and never for a time.

/** Asks until `met` answers something true, and returns that; `what` is for the message when it never does. */
export async function until(met, what, { deadlineMs = 60_000, pauseMs = 50 } = {}) {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const answer = await met();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
