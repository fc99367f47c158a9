async function follow(server: string, token: string, arn: string, onStatus: (data: any) => void) {
  const url = `${server}/v1/status/${encodeURIComponent(arn)}`;
  const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
  for (let pause = 250; ; pause = Math.min(2 * pause, 8000)) {
    let refusal: Error | undefined;
    const silence = new AbortController(); // a stream sends something every 9 seconds
    let timer = setTimeout(() => silence.abort(), 20_000);
    try {
      const answer = await fetch(url, { headers, signal: silence.signal });
      if (answer.status === 204) return; // nothing newer comes
      if (answer.ok) {
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          clearTimeout(timer);
          timer = setTimeout(() => silence.abort(), 20_000);
          const events = (rest + part.value).split("\n\n");
          rest = events.pop()!;
          for (const text of events) {
            const event = Object.fromEntries(text.split("\n").map((line) => line.split(/: (.*)/s, 2)));
            if (event.event === "end") return;
            if (event.event !== "status") continue;
            headers["Last-Event-ID"] = event.id;
            pause = 250;
            onStatus(JSON.parse(event.data));
          }
        }
      } else if (answer.status < 500 && answer.status !== 429) {
        refusal = new Error((await answer.json()).error.message);
      }
    } catch {
      // the connection was lost
    } finally {
      clearTimeout(timer);
    }
    if (refusal) throw refusal;
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
  }
}
