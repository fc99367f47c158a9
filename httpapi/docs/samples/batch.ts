async function statuses(server: string, token: string, executionArns: string[]) {
  const answer = await fetch(`${server}/v1/status`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ executionArns }),
    signal: AbortSignal.timeout(10_000),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
  return body.data.results;
}
