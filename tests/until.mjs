// How every test waits: for a condition, with a deadline.

/** Waits until `check` answers something true, and answers that; `what` is for the message when it never does. */
export async function until(check, what, { deadlineMs = 60_000, pauseMs = 50 } = {}) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
