async function decided(server: string, token: string, executionArns: string[], until = "all") {
  for (;;) {
    const answer = await fetch(`${server}/v1/wait?wait=20`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ executionArns, for: until }),
      signal: AbortSignal.timeout(40_000), // the wait of 20 s, and time to answer
    });
    const body = await answer.json();
    if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
    if (body.data.done) return body.data.results;
  }
}
