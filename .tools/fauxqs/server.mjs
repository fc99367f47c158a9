// Starts fauxqs on a free port of loopback, says which as one line of JSON, and
// ends when stdin does: so a test that is killed does not leave it behind.
import { buildApp } from "fauxqs";

const loopback = "127.0.0.1";

// The host option stays unset: queue URLs then carry the address that was asked.
const app = buildApp({ logger: false, defaultRegion: "eu-west-1" });
await app.listen({ host: loopback, port: 0 });
console.log(JSON.stringify({ port: app.server.address().port }));

process.stdin.resume();
process.stdin.once("end", () => process.exit(0));
