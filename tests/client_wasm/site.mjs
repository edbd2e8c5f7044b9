// A web server of files: the page, the client, packages. Under a policy that lets the page talk to this site and its miners, and nobody else.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { client_folder, place, sources } from "./world.mjs";

const types = { ".html": "text/html; charset=utf-8", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const roots = [["/brainlock-client/", client_folder + "/"], ["/packages/", place("") + "/"], ["/", join(sources, "web") + "/"]];

/// `miners`: their addresses, which may become more. `served` has what was asked for.
export function serve_site(port, miners) {
  const origin = `http://127.0.0.1:${port}`, served = [];
  const policy = () =>
    `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' ${miners.join(" ")}`;
  const server = createServer((request, response) => {
    const path = new URL(request.url, origin).pathname, [prefix, root] = roots.find(([prefix]) => path.startsWith(prefix)), file = root + path.slice(prefix.length);
    served.push(request.method + " " + path);
    if (path.includes("..") || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream", "content-security-policy": policy() }).end(readFileSync(file));
  }).listen(port, "127.0.0.1");
  return { origin, served, close: () => server.close() };
}
