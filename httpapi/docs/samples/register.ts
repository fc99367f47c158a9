async function register(server, token, executionArn, owner) {
  const answer = await fetch(`${server}/v1/executions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ executionArn, owner }),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
}
