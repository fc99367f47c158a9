// Serves an empty page on PORT and hands /v1 on to TARGET, as a project's own
// configuration of webpack-dev-server does.
// usage: server.mjs PORT TARGET
import webpack from "webpack";
import WebpackDevServer from "webpack-dev-server";

const [port, target] = process.argv.slice(2);
const compiler = webpack({
  mode: "development",
  entry: "data:text/javascript,",
  infrastructureLogging: { level: "error" },
});
const server = new WebpackDevServer(
  {
    host: "127.0.0.1", port, allowedHosts: "all", hot: false, client: false, liveReload: false,
    proxy: [{ context: ["/v1"], target }],
  },
  compiler,
);
await server.start();
