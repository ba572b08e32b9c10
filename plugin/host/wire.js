// The wire to codex-rota from OpenCode's side (DESIGN 3): messages in LSP framing
// with attachments, and the life of the one `codex-rota serve` of this process.
// The other side is package rpc. Nothing here knows what the messages mean.
import { spawn } from "node:child_process"

const PROTOCOL = 1
const STARTS_PER_MINUTE = 3
const INITIALIZE_MS = 10_000

/** @typedef {{status: number, headers: [string, string][], body: string}} WireResponse */
/** @typedef {{path: string, shown: string, shim: string}} Binary where codex-rota is, the same for a message, and the shim's version */

/** The child is gone, and with it the answer to a call. The text is for people. */
export class Stopped extends Error {}

/** codex-rota's own error; data.response is what the host is to get for it. */
export class Refusal extends Error {
  /** @param {{message: string, code?: number, data?: {response?: WireResponse}}} error */
  constructor({ message, code, data }) {
    super(message)
    this.code = code
    this.data = data
  }
}

/**
 * Cuts the child's output into messages: header lines, a blank line, JSON, and an
 * attachment, which no message to a host has a use for.
 * @param {(message: any) => void} onMessage
 */
function frames(onMessage) {
  let chunks = []
  let size = 0
  let need = 0 // bytes without which it is no use to look again
  return (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    if (size < need) return
    let rest = Buffer.concat(chunks, size)
    for (need = 0; rest.length > 0 && need === 0; ) {
      const head = rest.indexOf("\r\n\r\n")
      if (head < 0 && rest.length > 4096) throw new Error("a message without a head")
      if (head < 0) break
      const fields = rest.toString("latin1", 0, head)
      const json = head + 4 + Number(/^content-length: *(\d+)/im.exec(fields)?.[1])
      const end = json + Number(/^attachment-length: *(\d+)/im.exec(fields)?.[1] ?? 0)
      if (Number.isNaN(json)) throw new Error("a message without a length")
      if (rest.length < end) need = end
      else {
        onMessage(JSON.parse(rest.toString("utf8", head + 4, json)))
        rest = rest.subarray(end)
      }
    }
    chunks = [rest]
    size = rest.length
  }
}

/** One `codex-rota serve` process, from its start to its end. */
class Child {
  pending = new Map()
  lastId = 0
  ended = false
  lastLines = "" // the end of its stderr, for the log when it stops

  /** @param {Link} link @param {string} directory the project's */
  constructor(link, directory) {
    this.link = link
    this.process = spawn(link.binary.path, ["serve", "--host", "opencode"], { stdio: "pipe", windowsHide: true })
    const { stdin, stdout, stderr } = this.process
    this.process.on("error", (error) => this.end(link.notStarted(error.code)))
    this.process.on("exit", (code, signal) => this.end(link.stopped(signal ?? `exit code ${code}`)))
    stdin?.on("error", () => {}) // a closed pipe: 'exit' follows and says why
    stderr?.on("data", (chunk) => {
      this.lastLines = (this.lastLines + chunk).slice(-4096)
      link.log("info", String(chunk).trimEnd())
    })
    const read = frames((message) => this.receive(message))
    stdout?.on("data", (chunk) => {
      if (this.ended) return
      try {
        read(chunk)
      } catch (error) {
        this.end(`${link.binary.shown} does not speak codex-rota's protocol. ${REINSTALL}`)
        link.log("error", String(error))
        this.process.kill()
      }
    })
    this.hold()
    this.ready = this.initialize(directory)
    this.ready.catch((error) => this.end(error.message))
  }

  async initialize(directory) {
    const { shim } = this.link.binary
    const late = setTimeout(() => this.end(this.link.stopped("it did not answer")), INITIALIZE_MS)
    const params = { protocol: PROTOCOL, host: { name: "opencode" }, shim, directory, attachments: true }
    const answer = await this.request("initialize", params).finally(() => clearTimeout(late))
    if (answer.protocol !== PROTOCOL)
      throw new Refusal({ message: `codex-rota ${answer.version} speaks protocol ${answer.protocol}, its OpenCode shim ${shim} speaks ${PROTOCOL}. ${REINSTALL}` })
    if (answer.version !== shim) this.link.log("warn", `codex-rota is ${answer.version}, its shim ${shim}. ${REINSTALL}`)
    return this
  }

  /** The one writer: a message goes out whole, its attachment right behind it. */
  send(message, attachment) {
    const json = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }))
    const field = attachment?.length ? `Attachment-Length: ${attachment.length}\r\n` : ""
    this.process.stdin?.write(Buffer.concat([Buffer.from(`Content-Length: ${json.length}\r\n${field}\r\n`), json]))
    if (attachment?.length) this.process.stdin?.write(attachment)
  }

  /** @param {AbortSignal} [signal] its abort cancels the request on the other side too */
  request(method, params, attachment, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (this.ended) return reject(new Stopped(this.link.reason))
      const id = ++this.lastId
      const settle = (how) => (value) => {
        this.pending.delete(id)
        this.hold()
        signal?.removeEventListener("abort", onAbort)
        how(value)
      }
      const onAbort = () => {
        this.send({ method: "$/cancelRequest", params: { id } })
        settle(reject)(signal.reason)
      }
      signal?.addEventListener("abort", onAbort)
      this.pending.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.hold()
      this.send({ id, method, params }, attachment)
    })
  }

  receive(message) {
    const call = this.pending.get(message.id)
    if (message.method === "host/toast") this.link.toast(message.params)
    else if (call && message.error) call.reject(new Refusal(message.error))
    else if (call) call.resolve(message.result)
  }

  /** The child keeps the host alive only while the host waits for an answer of it. */
  hold() {
    const how = this.pending.size > 0 ? "ref" : "unref"
    for (const handle of [this.process, ...this.process.stdio]) handle?.[how]?.()
  }

  /** @param {string} reason what people read in place of the answers that will not come */
  end(reason) {
    if (this.ended) return
    this.ended = true
    this.process.stdin?.end()
    if (this.link.child === this) this.link.child = undefined
    this.link.reason = reason
    if (!this.retired) this.link.log("error", `${reason} ${this.lastLines}`.trimEnd())
    for (const call of [...this.pending.values()]) call.reject(new Stopped(reason))
  }

  /** Ends the process by EOF; what it was asked before, it still answers. */
  retire() {
    this.retired = true
    this.link.child = undefined
    this.process.stdin?.end()
  }
}

const REINSTALL = 'Run "codex-rota install opencode" and start OpenCode again.'

/** What all plugin instances of an OpenCode process share: the child, and whom to tell. */
export class Link {
  clients = new Set() // OpenCode's API, one of each live instance
  starts = []
  reason = "" // why the last child ended
  calls = 0

  /** @param {Binary} binary */
  constructor(binary) {
    this.binary = binary
  }

  /** The live child; a new one when there is none. @param {string} [directory] @returns {Promise<Child>} */
  async open(directory = process.cwd()) {
    if (this.child) return this.child.ready
    const now = Date.now()
    this.starts = this.starts.filter((start) => now - start < 60_000)
    if (this.starts.length >= STARTS_PER_MINUTE) throw new Refusal({ message: this.reason })
    this.starts.push(now)
    this.child = new Child(this, directory)
    return this.child.ready
  }

  /** @param {{body?: Uint8Array, signal?: AbortSignal, again?: boolean}} [options] again: if the child stops, a new one is asked once more */
  async call(method, params, { body, signal, again } = {}) {
    try {
      return await (await this.open()).request(method, params, body, signal)
    } catch (error) {
      if (!again || !(error instanceof Stopped) || signal?.aborted) throw error
      return this.call(method, params, { body, signal })
    }
  }

  /** With the child went all it knew: then there is nobody to notify. */
  notify(method, params, body) {
    this.child?.send({ method, params }, body)
  }

  log(level, message) {
    const client = [...this.clients].at(-1)
    Promise.resolve(client?.app.log({ body: { service: "codex-rota", level, message } })).catch(() => {}) // nowhere left to say it
  }

  toast({ level, message }) {
    for (const client of this.clients)
      Promise.resolve(client.tui.showToast({ body: { message, variant: level } })).catch((error) => this.log("debug", `toast not shown: ${error}`))
  }

  stopped(why) {
    return `codex-rota stopped (${why}). Send your message once more; if this stays, "codex-rota --self-test" shows what is wrong.`
  }

  notStarted(code) {
    if (code !== "ENOENT") return `codex-rota at ${this.binary.shown} could not be started (${code}). Make that file executable, or install it anew. ${REINSTALL}`
    return `codex-rota is not at ${this.binary.shown} any more. Put it back there, or run "codex-rota install opencode" from where it is now, and start OpenCode again.`
  }
}
