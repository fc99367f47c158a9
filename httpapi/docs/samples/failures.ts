async function failures(server: string, token: string): Promise<unknown[]> {
  const answer = await fetch(`${server}/v1/failures?window=1h`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
  return body.data.groups; // each with error, message, count, trend and examples
}
