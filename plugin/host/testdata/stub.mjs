// The test's two ends: codex-rota's side of the wire, and a backend on loopback.
// Framing is written anew here, so that the shim is not tested with itself.
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer as createHTTP } from "node:http"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Link } from "../wire.js"

export const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url))

/** Reads every whole message of buffer: [messages, rest]. */
function parse(buffer) {
  const messages = []
  for (;;) {
    const head = buffer.indexOf("\r\n\r\n")
    if (head < 0) return [messages, buffer]
    const fields = Object.fromEntries(buffer.toString("utf8", 0, head).split("\r\n").map((line) => line.split(": ")))
    const json = head + 4 + Number(fields["Content-Length"])
    const end = json + Number(fields["Attachment-Length"] ?? 0)
    if (buffer.length < end) return [messages, buffer]
    messages.push({ ...JSON.parse(buffer.toString("utf8", head + 4, json)), attachment: buffer.subarray(json, end) })
    buffer = buffer.subarray(end)
  }
}

export const frame = (message) => {
  const json = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }))
  return Buffer.concat([Buffer.from(`Content-Length: ${json.length}\r\n\r\n`), json])
}

/** codex-rota's side: methods answer by name, or not at all where they return undefined. */
export class Stub {
  seen = [] // every message, in order
  sockets = []
  waiting = []
  methods = {
    initialize: () => ({ protocol: 1, name: "codex-rota", version: "test", capabilities: { attachments: true }, accounts: { total: 1, ready: 1 } }),
  }

  static async start(t, methods = {}) {
    const stub = new Stub()
    Object.assign(stub.methods, methods)
    const dir = mkdtempSync(join(tmpdir(), "codex-rota-"))
    stub.server = createServer((socket) => stub.serve(socket))
    stub.server.listen(join(dir, "s"))
    await once(stub.server, "listening")
    process.env.CODEX_ROTA_TEST_SOCKET = join(dir, "s")
    t.after(async () => {
      for (const socket of stub.sockets) socket.destroy()
      stub.server.close()
      rmSync(dir, { recursive: true })
    })
    return stub
  }

  serve(socket) {
    this.sockets.push(socket)
    this.socket = socket
    socket.on("error", () => {})
    let rest = Buffer.alloc(0)
    socket.on("data", (chunk) => {
      let messages
      ;[messages, rest] = parse(Buffer.concat([rest, chunk]))
      for (const message of messages) this.receive(socket, message)
    })
  }

  async receive(socket, { id, method, params, attachment }) {
    const message = { id, method, params, attachment: Buffer.from(attachment), socket }
    this.seen.push(message)
    for (const wait of this.waiting) wait()
    if (id === undefined) return
    const answer = await (this.methods[method] ?? (() => ({ error: { code: -32601, message: `unknown method ${method}` } })))(params, message)
    if (answer?.error) socket.write(frame({ id, error: answer.error }))
    else if (answer !== undefined) socket.write(frame({ id, result: answer }))
  }

  /** The messages of one method so far. */
  of(method) {
    return this.seen.filter((message) => message.method === method)
  }

  /** Waits until `count` messages of this method have come. */
  async until(method, count = 1) {
    while (this.of(method).length < count) await new Promise((resolve) => this.waiting.push(resolve))
    return this.of(method)[count - 1]
  }
}

/** A link to a stub through a real child, with a client that keeps what it is told. */
export function linkTo(t, path = CHILD, shown = path) {
  const link = new Link({ path, shown, shim: "test" })
  link.told = []
  link.clients.add({ app: { log: async ({ body }) => link.told.push(body) }, tui: { showToast: async ({ body }) => link.told.push(body) } })
  t.after(() => link.child?.retire())
  return link
}

/** A backend that keeps what it received and answers with `answer(request, response, body)`. */
export async function backend(t, answer) {
  const received = []
  const server = createHTTP(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const call = { method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks) }
    received.push(call)
    await answer(request, response, call)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}/codex/responses`, received, server }
}
