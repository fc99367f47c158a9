async function register(server: string, token: string, executionArn: string, owner: string) {
  const answer = await fetch(`${server}/v1/executions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ executionArn, owner }),
    signal: AbortSignal.timeout(10_000),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
}
