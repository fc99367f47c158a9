async function fetchOutput(server: string, token: string, arn: string) {
  const url = `${server}/v1/executions/${encodeURIComponent(arn)}/output?wait=20`;
  for (;;) {
    const answer = await fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(40_000), // the wait of 20 s, and time to answer
    });
    if (![202, 429, 503].includes(answer.status)) { // 202: it is still being fetched
      const body = await answer.json();
      if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`); // Gone: Step Functions no longer has it
      return body.data.output;
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? 1);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}
